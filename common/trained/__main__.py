"""Command that exports pretrained weights: ``python -m common.trained export --bundle bundles/NAME --run DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common.errors import exit_code_of_mistakes, path_option
from common.trained.export import PROFILE_CASES, export
from common.weights_info import PRETRAINED_NAME


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m common.trained", description=__doc__)
    command = parser.add_subparsers(required=True).add_parser("export", help="write models/pretrained.pt and .json")
    command.add_argument("--bundle", type=path_option, required=True, help="the bundle's folder")
    command.add_argument("--run", type=path_option, help="the folder of the pretraining (default: BUNDLE/pretraining)")
    command.add_argument("--cases", type=int, default=PROFILE_CASES, help="simulated cases to compare inputs with")
    command.add_argument("--name", default=PRETRAINED_NAME, help="file name (default: %(default)s)")
    options = parser.parse_args(arguments)
    path = export(options.bundle, options.run or options.bundle / "pretraining", options.cases, options.name)
    print(f"written: {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
