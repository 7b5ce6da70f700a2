"""Checks that run a bundle's code, handed to a process of their own and gathered from what it got done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from tools.repository import ROOT
from tools.verify.bundle import Bundle
from tools.verify.verdicts import FAIL, SKIP, Fault

Step = tuple[str, str]
"""A check's id, and the network's name or nothing."""
START = 120
"""Seconds that a process may take before its first check begins: libraries load."""


def findings(bundle: Bundle, steps: Sequence[Step], limit: int, scratch: Path) -> list[dict[str, Any]]:
    """What each check found, in order; one that ends its process fails, and the next ones get a new process.

    Args:
        bundle: a copy that its code may write into.
        steps: what to check.
        limit: seconds for each check.
        scratch: an empty folder.
    """
    found: dict[int, dict[str, Any]] = {}
    report = scratch / "report.jsonl"
    while len(found) < len(steps):
        report.write_text("")
        left = [(index, step) for index, step in enumerate(steps) if index not in found]
        ended = _run(bundle, left, limit, report)
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        found |= {line["step"]: line["finding"] for line in lines if "finding" in line}
        begun = [line["step"] for line in lines if line["step"] not in found]
        if begun or not lines:
            index = begun[0] if begun else left[0][0]
            found[index] = _lost(ended, limit)
            found |= _untried(steps, index, found.keys())
    return [found[index] for index in range(len(steps))]


def _untried(steps: Sequence[Step], lost: int, known: Container[int]) -> dict[int, dict[str, Any]]:
    """The other checks of a network at which the process ended: they would end it, too."""
    key, subject = steps[lost]
    finding = {"outcome": SKIP, "faults": [], "notes": [f"not tried, since {key} ended the process"]}
    same = [index for index, step in enumerate(steps) if subject and step[1] == subject]
    return {index: finding for index in same if index != lost and index not in known}


def _run(bundle: Bundle, steps: list[tuple[int, Step]], limit: int, report: Path) -> str:
    """Run some checks; returns how the process ended."""
    request = {"folder": str(bundle.folder), "overlay": bundle.overlay, "limit": limit, "steps": steps}
    own = {
        "PYTHONPATH": os.pathsep.join([str(bundle.folder), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1",
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    words = [sys.executable, "-W", "ignore", "-m", "tools.verify.child", str(report)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            words,
            input=json.dumps(request),
            cwd=bundle.folder,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=START + limit * len(steps),
        )
    except subprocess.TimeoutExpired:
        return f"no answer after {time.monotonic() - start:.0f} s"
    told = done.stderr.strip().splitlines()
    if any(line.startswith("Timeout (") for line in told):
        return f"no end after {limit} s"
    return f"exit code {done.returncode}: {told[-1][:300] if told else 'nothing said'}"


def _lost(ended: str, limit: int) -> dict[str, Any]:
    rule = f"ends within {limit} s and leaves the process alive"
    fault = Fault("the check", rule, ended, "mend the bundle's code, or give a longer --limit")
    return {"outcome": FAIL, "faults": [fault.fields()], "notes": []}
