"""Verify MONAI bundles offline: folders or zips, of this collection or foreign ones.

Exit code 0: all pass; 1: some failed; 2: wrong usage. A bundle's code runs in a process of its own, on a copy, without
network; still, it is code: --static reads a bundle that is not trusted and runs nothing of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from common.errors import DataError, exit_code_of_mistakes
from tools.verify import report
from tools.verify.process import block_network
from tools.verify.verify import LIMIT, Options, verify


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
        records.append(report.record(outcome, time.monotonic() - start))
        if not given.json:
            print(report.table(outcome, time.monotonic() - start), end="\n\n", flush=True)
    passed = all(record["passed"] for record in records)
    if given.json:
        print(json.dumps({"passed": passed, "bundles": records}, indent=2))
    return 0 if passed else 1


if __name__ == "__main__":
    block_network()
    sys.exit(main(sys.argv[1:]))
