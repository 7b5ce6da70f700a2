"""Validate bundles and releases of this collection: ``python -m tools.release.verify PATH ...``, folders or zips.

Offline, and nothing of a bundle runs: what its code does is for the tests (``tests/bundles``), for MONAI's own commands
and for ``make environment-test``. Exit code 0: all pass; 1: some failed; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

from common.errors import DataError, exit_code_of_user_errors
from tools.release.verify import configs, files, label, metadata
from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.verdicts import Check, Verdict, verdict_of

CHECKS = tuple(
    value for part in (files, metadata, configs, label) for value in vars(part).values() if isinstance(value, Check)
)
WIDTH = 118


def rows(verdict: Verdict) -> str:
    """A line of a check, under it what is wrong."""
    word = "FAIL" if verdict.faults else "-" if verdict.skipped else "ok"
    lines = [f"  {word:<5}{verdict.check.id:<22}{verdict.skipped or verdict.check.meaning}"]
    for fault in verdict.faults:
        lines += textwrap.wrap(str(fault), WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)
    return "\n".join(lines)


def verified(bundle: ValidatedBundle) -> bool:
    """Run all checks on a bundle and print a table; whether it passes."""
    verdicts = [verdict_of(check, bundle) for check in CHECKS]
    failed = sum(bool(verdict.faults) for verdict in verdicts)
    print("\n".join([f"{bundle.name}{', a release' if bundle.packed else ''}", *map(rows, verdicts)]))
    print(f"{bundle.name} {f'FAILS {failed} checks' if failed else 'passes'}\n", flush=True)
    return not failed


@exit_code_of_user_errors
def main(words: list[str] | None = None) -> int:
    """Verify each bundle."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.verify", description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path, help="folders or zips of bundles")
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    passed = True
    for path in parser.parse_args(words).bundles:
        with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
            if (path / "configs").is_dir():
                folder = path.resolve()
            elif zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(scratch)
                    folder = Path(scratch, archive.namelist()[0].split("/")[0])
            else:
                fault = f"{path} is neither a bundle's folder with configs nor a release zip"
                raise DataError(fault, "pass one of bundles/ or of dist/")
            passed &= verified(ValidatedBundle(folder))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
