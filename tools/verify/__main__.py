"""Verify MONAI bundles offline: folders or zips, of this collection or foreign ones.

Exit code 0: all pass; 1: some failed; 2: wrong usage. A bundle's code runs in a process of its own, on a copy, without
network; still, it is code: --static reads a bundle that is not trusted and runs nothing of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common.errors import DataError, exit_code_of_mistakes
from tools.verify.process import block_network
from tools.verify.verdicts import FAIL, GROUPS, PASS, SKIP, Fault, Verdict
from tools.verify.verify import LIMIT, Options, Outcome, verify

WIDTH = 118
WORDS = {PASS: "ok", FAIL: "FAIL", SKIP: "-"}


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, help="folders or zips")
    parser.add_argument("--schema", type=Path, help="JSON schema for the metadata")
    parser.add_argument("--overlay", help="config, such as demo, over train and inference when networks are built")
    parser.add_argument("--house", action="store_true", help="check foreign bundles against this collection's contract")
    parser.add_argument("--static", action="store_true", help="run nothing of the bundle's code")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds for each check that runs code (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, every $ expression included")
    return parser.parse_args(words)


@exit_code_of_mistakes
def main(words: list[str]) -> int:
    """Verify each bundle and print what was found."""
    given = _options(words)
    if given.schema is not None and not given.schema.is_file():
        raise DataError(str(given.schema), "is a file with a JSON schema", "no such file", "give an existing path")
    options = Options(given.schema, given.overlay, given.limit, given.static, given.house)
    records = []
    for path in given.bundles:
        start = time.monotonic()
        outcome = verify(path, options)
        records.append(_record(outcome, time.monotonic() - start))
        if not given.json:
            print(_table(outcome, time.monotonic() - start), end="\n\n", flush=True)
    passed = all(record["passed"] for record in records)
    if given.json:
        print(json.dumps({"passed": passed, "bundles": records}, indent=2))
    return 0 if passed else 1


def _table(outcome: Outcome, seconds: float) -> str:
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


def _record(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Everything about one bundle."""
    return {
        "bundle": outcome.bundle.name,
        "path": str(outcome.bundle.archive or outcome.bundle.folder),
        "kind": outcome.kind,
        "passed": not outcome.failures,
        "seconds": round(seconds, 1),
        "verdicts": [_fields(verdict) | {"counted": outcome.counts(verdict)} for verdict in outcome.verdicts],
        "expressions": [_expression(*entry) for entry in outcome.expressions.items()],
    }


def _fields(verdict: Verdict) -> dict[str, Any]:
    rule = {key: getattr(verdict.check, key) for key in ("id", "group", "meaning", "source")}
    return rule | {key: getattr(verdict, key) for key in ("subject", "outcome", "notes", "faults")}


def _expression(place: str, expression: str) -> dict[str, str]:
    file, name = place.removeprefix("configs/").split(" ", 1)
    return {"file": file, "id": name, "expression": expression}


if __name__ == "__main__":
    block_network()
    sys.exit(main(sys.argv[1:]))
