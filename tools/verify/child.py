"""Sandboxed process for a bundle's own code: offline, on a copy, with a time limit for each check.

Reads a request (JSON) on stdin and writes a line of JSON for each check that begins or ends, into the file of its first
argument: stdout belongs to the bundle's code.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from tools.verify import checks, offline
from tools.verify.bundle import Bundle
from tools.verify.networks import all_networks
from tools.verify.verdicts import FAIL, judge


def _offline_only(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding that also reports attempts to reach the network, even if the code went on without."""
    rest = {"name": "the bundle's code", "rule": "reaches no network", "remedy": "ship what it fetches"}
    faults = [{**rest, "value": what} for what in sorted(set(offline.attempts()))]
    return {**finding, "outcome": FAIL, "faults": [*finding["faults"], *faults]} if faults else finding


def main(report: Path) -> None:
    """Run the checks of the request, one after the other."""
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    offline.block()
    bundle = Bundle(Path(request["folder"]), request["overlay"])
    networks = {network.name: network for network in all_networks(bundle)}
    find = {check.id: check.find for check in checks.ALL}
    with open(report, "a", encoding="utf-8") as file:
        for step, (key, subject) in request["steps"]:
            print(json.dumps({"step": step}), file=file, flush=True)
            faulthandler.dump_traceback_later(request["limit"], exit=True)  # also ends what hangs in C
            finding = _offline_only(judge(partial(find[key], networks[subject] if subject else bundle)))
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"step": step, "finding": finding}), file=file, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
