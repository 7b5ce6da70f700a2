"""Verdicts as a table for people and as plain data for programs."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Any

from tools.verify.verdicts import FAIL, GROUPS, PASS, SKIP, Verdict
from tools.verify.verify import Outcome

WIDTH = 118
WORDS = {PASS: "ok", FAIL: "FAIL", SKIP: "-"}


def counted(verdict: Verdict, outcome: Outcome, house: bool) -> bool:
    """Whether a failure counts: our own contract binds our own bundles, others if asked to."""
    return verdict.check.group != "house" or outcome.house or house


def failures(outcome: Outcome, house: bool = False) -> list[Verdict]:
    """What the bundle failed, of what counts."""
    return [one for one in outcome.verdicts if one.outcome == FAIL and counted(one, outcome, house)]


def table(outcome: Outcome, house: bool, seconds: float) -> str:
    """One line a check, under it what is wrong; then the sums."""
    bundle = outcome.bundle
    lines = [f"{bundle.name}, {outcome.kind}: {bundle.archive or bundle.folder}"]
    for group, title in GROUPS.items():
        own = [verdict for verdict in outcome.verdicts if verdict.check.group == group]
        if own:
            free = not counted(own[0], outcome, house)
            lines += ["", f"{group}: {title}{' (not counted without --house)' if free else ''}"]
        lines += [line for verdict in own for line in _row(verdict)]
    sums = Counter(verdict.outcome for verdict in outcome.verdicts)
    failed = len(failures(outcome, house))
    said = f"FAILS {failed} {'check' if failed == 1 else 'checks'}" if failed else "passes"
    told = f"{sums[PASS]} ok, {sums[FAIL]} failed, {sums[SKIP]} skipped, {seconds:.0f} s"
    return "\n".join([*lines, "", f"{bundle.name} {said}: {told}"])


def _row(verdict: Verdict) -> list[str]:
    check = verdict.check
    subject = f"{verdict.subject}: " if verdict.subject else ""
    notes = f" ({'; '.join(verdict.notes)})" if verdict.notes else ""
    head = f"  {WORDS[verdict.outcome]:<5}{check.id:<22}"
    rows = textwrap.wrap(subject + check.meaning + notes, WIDTH, initial_indent=head, subsequent_indent=" " * 31)
    for fault in verdict.faults:
        rows += textwrap.wrap(str(fault), WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)
    return rows


def record(outcome: Outcome, house: bool, seconds: float) -> dict[str, Any]:
    """Everything about one bundle."""
    return {
        "bundle": outcome.bundle.name,
        "path": str(outcome.bundle.archive or outcome.bundle.folder),
        "kind": outcome.kind,
        "passed": not failures(outcome, house),
        "seconds": round(seconds, 1),
        "verdicts": [_fields(verdict, counted(verdict, outcome, house)) for verdict in outcome.verdicts],
        "expressions": outcome.expressions,
    }


def _fields(verdict: Verdict, counts: bool) -> dict[str, Any]:
    check = verdict.check
    return {
        "id": check.id,
        "subject": verdict.subject,
        "group": check.group,
        "meaning": check.meaning,
        "source": check.source,
        "outcome": verdict.outcome,
        "counted": counts,
        "notes": verdict.notes,
        "faults": [fault.fields() for fault in verdict.faults],
    }
