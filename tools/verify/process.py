"""Checks that run a bundle's code, in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.repository import ROOT
from tools.verify.bundle import Bundle
from tools.verify.verdicts import FAIL, SKIP

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
    while left := [(index, step) for index, step in enumerate(steps) if index not in found]:
        report.write_text("")
        ended = _run(bundle, left, limit, report)
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        found |= {line["step"]: line["finding"] for line in lines if "finding" in line}
        begun = [line["step"] for line in lines if line["step"] not in found]
        if begun or not lines:
            lost = begun[0] if begun else left[0][0]
            rule = f"ends within {limit} s and leaves the process alive"
            remedy = "fix the code, or give a longer --limit"
            fault = {"name": "the check", "rule": rule, "value": ended, "remedy": remedy}
            found[lost] = {"outcome": FAIL, "faults": [fault], "notes": []}
            key, network = steps[lost]
            untried = {"outcome": SKIP, "faults": [], "notes": [f"not tried, since {key} ended the process"]}
            # other checks of the same network would end it, too
            found |= {index: untried for index, step in left if network and step[1] == network and index not in found}
    return [found[index] for index in range(len(steps))]


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
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tools.verify.child", str(report)],
            input=json.dumps(request),
            cwd=bundle.folder,
            env={**os.environ, **own},
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
