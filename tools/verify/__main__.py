"""Validate bundles and releases of this collection offline: ``python -m tools.verify PATH ...``, folders or zips.

Each is copied or unpacked and checked in a process of its own that reaches no network. Exit code 0: all pass; 1: some
failed; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from pathlib import Path

from common.errors import DataError, exit_code_of_mistakes
from tools.repository import ROOT
from tools.verify import code, configs, files, label, metadata
from tools.verify.bundle import Bundle
from tools.verify.verdicts import Check, Verdict, judge, one_line

READING = tuple(
    value for part in (files, metadata, configs, label) for value in vars(part).values() if isinstance(value, Check)
)
"""Checks that read a bundle and run nothing of it."""
RUNNING = tuple(value for value in vars(code).values() if isinstance(value, Check))
ENVIRONMENT = {
    "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
WIDTH = 118


def rows(verdict: Verdict) -> str:
    """A line of a check, under it what is wrong."""
    word = "FAIL" if verdict.faults else "-" if verdict.skipped else "ok"
    lines = [f"  {word:<5}{verdict.check.id:<22}{verdict.skipped or verdict.check.meaning}"]
    for fault in verdict.faults:
        lines += textwrap.wrap(str(fault), WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)
    return "\n".join(lines)


def checked(bundle: Bundle) -> int:
    """Judge a bundle by all checks and print a table; the number of checks that it fails."""
    print(f"{bundle.name}{', a release' if bundle.packed else ''}", flush=True)
    failed, start = 0, time.monotonic()
    for one in (*READING, *RUNNING):
        with contextlib.redirect_stdout(sys.stderr):  # what the bundle's own code prints
            verdict = judge(one, bundle)
        failed += bool(verdict.faults)
        print(rows(verdict), flush=True)
    print(f"{bundle.name} {f'FAILS {failed} checks' if failed else 'passes'}, {time.monotonic() - start:.0f} s\n")
    return failed


def _in_its_own_process(path: Path, scratch: Path) -> int:
    """Verify a copy of a folder or what is in a zip; the exit code."""
    if path.is_dir() and (path / "configs").is_dir():
        folder = Bundle(path).copy(scratch).folder
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch)
            folder = scratch / archive.namelist()[0].split("/")[0]
    else:
        remedy = "give one of bundles/ or of dist/"
        raise DataError(str(path), "is a bundle's folder with configs, or a release zip", "neither", remedy)
    words = [sys.executable, "-W", "ignore", "-m", "tools.verify", "--in_place", str(folder)]
    own = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(words, cwd=folder, env=own, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):  # the process ended in a check
        print(f"{folder.name} FAILS, exit code {done.returncode}: {one_line(done.stderr[-400:])}\n", flush=True)
    return done.returncode


@exit_code_of_mistakes
def main(words: list[str] | None = None) -> int:
    """Verify each bundle."""
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path, help="folders or zips")
    parser.add_argument("--in_place", action="store_true", help="in this process, writing into the folder")
    given = parser.parse_args(words)
    if given.in_place:
        logging.disable(logging.WARNING)
        sys.addaudithook(code.block_network)
        return int(checked(Bundle(given.bundles[0])) > 0)
    codes = []
    for path in given.bundles:
        with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
            codes.append(_in_its_own_process(path.resolve(), Path(scratch)))
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
