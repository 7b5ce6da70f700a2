"""What the check of a GPU found: one table as text and JSON, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HEADINGS = ("check", "case", "measured", "required", "result", "note")
RESULTS = {True: "ok", False: "FAILED", None: ""}


class CheckFinding(NamedTuple):
    """One row: ``passed`` is None for a measurement without a requirement."""

    check: str
    case: str
    measured: str
    required: str = ""
    passed: bool | None = None
    note: str = ""

    @classmethod
    def failed(cls, check: str, case: str, reason: str) -> CheckFinding:
        """What ended before there was anything to measure."""
        return cls(check, case, "nothing", "runs to its end", False, reason)


def table(findings: Sequence[CheckFinding]) -> str:
    """All rows in columns."""
    rows = [HEADINGS, *((*each[:4], RESULTS[each.passed], each.note) for each in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def verdict(findings: Sequence[CheckFinding], wanted: Sequence[str]) -> tuple[bool, str]:
    """Whether every part that was wanted has required something and got it, and the last line that says so."""
    failures = [f"{each.check}: {each.case}" for each in findings if each.passed is False]
    required = {each.check for each in findings if each.passed is not None}
    failures += [f"{name}: nothing was checked" for name in wanted if name not in required]
    passed = sum(each.passed is True for each in findings)
    if failures:
        return False, f"gpu-check: {len(failures)} FAILED, {passed} passed: {'; '.join(failures)}"
    return True, f"gpu-check: all {passed} passed"


def save(folder: Path, findings: Sequence[CheckFinding], machine: dict[str, Any], last: str) -> None:
    """Write ``gpu-check.txt`` and ``gpu-check.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    (folder / "gpu-check.txt").write_text(f"{about}\n\n{table(findings)}\n\n{last}\n")
    content = {"machine": machine, "verdict": last, "findings": [each._asdict() for each in findings]}
    (folder / "gpu-check.json").write_text(json.dumps(content, indent=1))
