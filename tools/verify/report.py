"""Verdicts as a table for people and as plain data for programs."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Any

from tools.verify.verdicts import FAIL, GROUPS, PASS, SKIP, Fault, Verdict
from tools.verify.verify import Outcome

WIDTH = 118
WORDS = {PASS: "ok", FAIL: "FAIL", SKIP: "-"}


def table(outcome: Outcome, seconds: float) -> str:
    """One line a check, under it what is wrong; then the sums."""
    bundle = outcome.bundle
    lines = [f"{bundle.name}, {outcome.kind}: {bundle.archive or bundle.folder}"]
    for group, title in GROUPS.items():
        if own := [verdict for verdict in outcome.verdicts if verdict.check.group == group]:
            free = "" if outcome.counts(own[0]) else " (not counted without --house)"
            lines += ["", f"{group}: {title}{free}", *(line for verdict in own for line in _row(verdict))]
    sums = Counter(verdict.outcome for verdict in outcome.verdicts)
    failed = len(outcome.failures)
    result = f"FAILS {failed} {'check' if failed == 1 else 'checks'}" if failed else "passes"
    counts = f"{sums[PASS]} ok, {sums[FAIL]} failed, {sums[SKIP]} skipped, {seconds:.0f} s"
    return "\n".join([*lines, "", f"{bundle.name} {result}: {counts}"])


def _row(verdict: Verdict) -> list[str]:
    subject = f"{verdict.subject}: " if verdict.subject else ""
    notes = f" ({'; '.join(verdict.notes)})" if verdict.notes else ""
    head = f"  {WORDS[verdict.outcome]:<5}{verdict.check.id:<22}"
    rows = textwrap.wrap(
        subject + verdict.check.meaning + notes, WIDTH, initial_indent=head, subsequent_indent=" " * 31
    )
    for fault in verdict.faults:
        rows += textwrap.wrap(str(Fault(**fault)), WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)
    return rows


def record(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Everything about one bundle."""
    return {
        "bundle": outcome.bundle.name,
        "path": str(outcome.bundle.archive or outcome.bundle.folder),
        "kind": outcome.kind,
        "passed": not outcome.failures,
        "seconds": round(seconds, 1),
        "verdicts": [verdict.record() | {"counted": outcome.counts(verdict)} for verdict in outcome.verdicts],
        "expressions": [_expression(*entry) for entry in outcome.expressions.items()],
    }


def _expression(place: str, expression: str) -> dict[str, str]:
    file, name = place.removeprefix("configs/").split(" ", 1)
    return {"file": file, "id": name, "expression": expression}
