"""A fuzzer of this project's commands: ``python -m tests.fuzz --commands 300 --seed 0``, or ``make fuzz``.

Each command is one that ends well, with one change to its options or to a copy of its inputs. A fault is a traceback,
another exit code than 0, 1 and 2, an end without the house's line of error, a foreign exception's words, an input that
was changed, a file outside of the output folder, a result that differs from the unmutated one without a line that says
why, and a command that takes more than its time. MONAI's own reading of the command line and of config files may end
in a traceback before any code of the project runs; these commands are counted apart (``Mutation.of_monai``).
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.oracle import FOUND
from tests.fuzz.prepare import prepare
from tests.fuzz.runner import RECORD, Fuzzer, Row, by_scene, fuzz_all, recorded, table
from tests.fuzz.running import start_server

DEFAULT_OUT = Path("build/fuzz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print the counts, and return 1 where something was found."""
    options = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)  # of the libraries that mutate
    folder: Path = options.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    start_server()
    prepared = prepare(folder, options.jobs, options.keep_prepared)
    print(f"prepared in {time.monotonic() - begin:.0f} s: {prepared}", flush=True)
    fuzzer = Fuzzer(options.seed, folder, prepared)
    indices = range(options.first, options.first + options.commands)
    done = recorded(folder, options.seed, fuzzer.code) if options.resume else {}
    if not options.resume:
        (folder / RECORD).unlink(missing_ok=True)
    begin = time.monotonic()
    fuzz_all(fuzzer, [index for index in indices if index not in done], options.jobs, _tell)
    rows = [row for index, row in recorded(folder, options.seed, fuzzer.code).items() if index in indices]
    print(f"{len(rows)} commands of seed {options.seed}, {len(rows) - len(done)} of them now, "
          f"in {time.monotonic() - begin:.0f} s")  # fmt: skip
    print(f"\n{table(rows)}\n\n{by_scene(rows)}")
    found = [row for row in rows if row.outcome == FOUND]
    for row in found:
        print(f"\n--seed {row.seed} --first {row.index} --commands 1: {_shown(row)}")
    if found:
        print(f"\n{len(found)} of {len(rows)} commands found something; their inputs are in {folder / 'found'}")
    return 1 if found else 0


def _tell(row: Row) -> None:
    if row.outcome == FOUND:
        print(f"{row.index}: {_shown(row)}", flush=True)


def _shown(row: Row) -> str:
    return "\n    ".join([f"{row.scene}; {row.what}", *row.reasons])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=300, help="number of commands (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all commands (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first command (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder of the record (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="leave out what the record in --out has of this seed")
    about = "use what was prepared by another state of the code; the record is then of no use"
    parser.add_argument("--keep-prepared", action="store_true", help=about)
    return parser


if __name__ == "__main__":
    sys.exit(main())
