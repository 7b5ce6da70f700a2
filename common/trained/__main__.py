"""Commands for pretrained weights: ``export`` ships those of a pretraining, ``grade`` gives them verdicts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common.errors import exit_code_of_mistakes, path_option
from common.trained.export import PROFILE_CASES, export
from common.trained.grading import GRADED_CASES, grade
from common.weights_info import PRETRAINED_NAME


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m common.trained", description=__doc__)
    commands = parser.add_subparsers(required=True)
    exported = commands.add_parser("export", help="write models/pretrained.pt and .json")
    graded = commands.add_parser("grade", help="write models/pretrained_quality.json, on simulated heads")
    exported.set_defaults(run_command=_export)
    graded.set_defaults(run_command=_grade)
    for command in (exported, graded):
        command.add_argument("--bundle", type=path_option, required=True, help="the bundle's folder")
        command.add_argument("--name", default=PRETRAINED_NAME, help="file name of the weights (default: %(default)s)")
    exported.add_argument("--run", type=path_option, help="the folder of the pretraining (default: BUNDLE/pretraining)")
    exported.add_argument("--cases", type=int, default=PROFILE_CASES, help="simulated cases to compare inputs with")
    graded.add_argument("--cases", type=int, default=GRADED_CASES, help="simulated heads (default: %(default)s)")
    graded.add_argument("--label_maps", type=path_option, help="individual heads (default: the average head)")
    options = parser.parse_args(arguments)
    options.run_command(options)
    return 0


def _export(options: argparse.Namespace) -> None:
    path = export(options.bundle, options.run or options.bundle / "pretraining", options.cases, options.name)
    print(f"written: {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json').name}")


def _grade(options: argparse.Namespace) -> None:
    path = grade(options.bundle, options.label_maps, options.cases, options.name)
    print(f"shipped weights have verdicts from now on: {path}")


if __name__ == "__main__":
    sys.exit(main())
