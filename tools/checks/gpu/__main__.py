"""Check of training and inference on a GPU: ``python -m tools.checks.gpu [PART ...]``, or ``make gpu-check``.

Runs the tests that need a GPU, compares recorded with eager steps of every bundle and variant and trains each bundle
for 200 steps, all at the same time; then measures steps and memory at published size, and stitching. Ends with exit
code 1 where something failed, and with 3 where there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from tools.checks.findings import CheckFinding, save, table, verdict
from tools.repository import bundle_names

NO_GPU = 3


def run_part(part: str, command: Sequence[str], rows: Path, limit_s: float) -> list[CheckFinding]:
    """The rows of a part that runs as a command, and one more where it does not end well within its limit."""
    from tools.checks.gpu.parts import read_rows

    try:
        code = subprocess.run(command, timeout=limit_s).returncode
        reason = f"exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        reason = f"stopped after {limit_s:g} s"
    found = read_rows(rows)
    return [*found, CheckFinding.failed(part, f"{rows.stem} after {len(found)} rows", reason)] if reason else found


def rounds(wanted: Sequence[str]) -> list[list[tuple[str, ...]]]:
    """What runs at the same time, round by round: a part, or a part and one of its bundles."""
    from tools.checks.gpu.parts import BY_BUNDLE, TIMED

    first: list[tuple[str, ...]] = [(part,) for part in wanted if part not in (*BY_BUNDLE, *TIMED)]
    first += [(part, bundle) for part in BY_BUNDLE if part in wanted for bundle in bundle_names()]
    alone: list[list[tuple[str, ...]]] = [[(part,)] for part in wanted if part in TIMED]
    return [first, *alone]


def _machine() -> dict[str, Any]:
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    return {"device": torch.cuda.get_device_name(), "memory GiB": round(gib, 1), "torch": torch.__version__}


def main() -> int:
    """Print the table and the verdict; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", help="parts to run (default: all)")
    parser.add_argument("--out", type=Path, default=Path("build/gpu-check"), help="folder of gpu-check.txt and .json")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"gpu-check: nothing was checked, since PyTorch {torch.__version__} finds no GPU here")
        return NO_GPU
    from tools.checks.gpu.parts import LIMITS_S, PARTS, rows_of

    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    wanted = options.parts or list(PARTS)
    found: list[CheckFinding] = []
    with tempfile.TemporaryDirectory() as folder:

        def run(part: str, *bundle: str) -> list[CheckFinding]:
            command = [sys.executable, "-W", "ignore", "-m", "tools.checks.gpu.parts", part, folder, *bundle]
            return run_part(part, command, rows_of(part, Path(folder), *bundle), LIMITS_S[part])

        for together in rounds(wanted):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for done in as_completed([pool.submit(run, *one) for one in together]):
                    found += done.result()
                    passed, last = verdict(found, wanted)
                    save(options.out, found, _machine(), last)  # what is there if a later part takes the machine down
    print(f"{table(found)}\n\n{options.out.resolve() / 'gpu-check.txt'}\n{last}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
