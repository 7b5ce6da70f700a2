"""Checks that run a bundle's code: in a process of its own, offline, on a copy, with a time limit for each check.

The process reads a request (JSON) on stdin and writes a line of JSON for each finding into the file of its first
argument: stdout belongs to the bundle's code.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tools.repository import ROOT
from tools.verify import checks
from tools.verify.bundle import Bundle
from tools.verify.networks import all_networks
from tools.verify.verdicts import FAIL, SKIP, Fault, judge, plain

Step = tuple[str, str]
"""A check's id, and the network's name or nothing."""
START = 120
"""Seconds that a process may take before its first check begins: libraries load."""
REACHING = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
_tried: list[str] = []


class OfflineError(OSError):
    """Something tried to reach the network, which is blocked while bundles are verified."""


def block_network() -> None:
    """From now on nothing in this process reaches a network; an audit hook cannot be taken away again."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in REACHING:
        return
    by_socket = isinstance(arguments[0], socket.socket)
    if by_socket and arguments[0].family == socket.AF_UNIX:
        return  # processes of one machine, such as workers of a DataLoader
    _tried.append(f"{event} {arguments[1] if by_socket else arguments[0]}")
    raise OfflineError(f"the network is blocked while bundles are verified: {_tried[-1]}")


def findings(bundle: Bundle, steps: Sequence[Step], limit: int, scratch: Path) -> list[dict[str, Any]]:
    """What each check found, in order; one that ends its process fails, and the next ones get a new process.

    The bundle is a copy that its code may write into; ``limit`` is in seconds for each check.
    """
    found: dict[Step, dict[str, Any]] = {}
    report = scratch / "report.jsonl"
    while left := [step for step in steps if step not in found]:
        report.write_text("")
        ended = _run(bundle, left, limit, report)
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines() if line.endswith("]")]
        found |= {(key, network): finding for key, network, finding in lines}
        if lost := next((step for step in left if step not in found), None):
            rule = f"ends within {limit} s and leaves the process alive"
            fault = Fault("the check", rule, ended, "fix the code, or give a longer --limit")
            found[lost] = {"outcome": FAIL, "faults": [plain(fault)], "notes": []}
            untried = {"outcome": SKIP, "faults": [], "notes": [f"not tried, since {lost[0]} ended the process"]}
            # other checks of the same network would end it, too
            found |= {step: untried for step in left if step not in found and step[1] == lost[1] != ""}
    return [found[step] for step in steps]


def _run(bundle: Bundle, steps: list[Step], limit: int, report: Path) -> str:
    """Run some checks; returns how the process ended."""
    request = {"folder": str(bundle.folder), "overlay": bundle.overlay, "limit": limit, "steps": steps}
    paths = os.pathsep.join([str(bundle.folder), str(ROOT)])
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tools.verify.process", str(report)],
            input=json.dumps(request),
            cwd=bundle.folder,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=START + limit * len(steps),
        )
    except subprocess.TimeoutExpired as error:
        return f"no answer after {error.timeout:.0f} s"
    told = done.stderr.strip().splitlines()
    if any(line.startswith("Timeout (") for line in told):
        return f"no end after {limit} s"
    return f"exit code {done.returncode}: {told[-1][:300] if told else 'nothing on stderr'}"


def main(report: Path) -> None:
    """In the process: run the checks of the request, one after the other."""
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    block_network()
    bundle = Bundle(Path(request["folder"]), request["overlay"])
    networks = {network.name: network for network in all_networks(bundle)}
    find = {check.id: check.find for check in checks.ALL}
    with open(report, "a", encoding="utf-8") as file:
        for key, name in request["steps"]:
            faulthandler.dump_traceback_later(request["limit"], exit=True)  # also ends what hangs in C
            finding = _offline_only(judge(partial(find[key], networks[name] if name else bundle)))
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps([key, name, finding]), file=file, flush=True)


def _offline_only(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding that also reports attempts to reach the network, even if the code went on without."""
    rule, remedy = "reaches no network", "ship what it fetches"
    faults = [plain(Fault("the bundle's code", rule, what, remedy)) for what in sorted(set(_tried))]
    _tried.clear()
    return {**finding, "outcome": FAIL, "faults": [*finding["faults"], *faults]} if faults else finding


if __name__ == "__main__":
    main(Path(sys.argv[1]))
