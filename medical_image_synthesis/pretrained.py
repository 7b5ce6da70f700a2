"""Commands for pretrained weights: ``export`` ships them, ``calibrate`` measures how far to trust them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common.errors import exit_code_of_mistakes, path_option
from common.weights.info import PRETRAINED_NAME
from medical_image_synthesis.export import PROFILE_CASES, export
from medical_image_synthesis.simulated_heads import HEADS, calibrate, check


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m medical_image_synthesis.pretrained", description=__doc__)
    commands = parser.add_subparsers(required=True)
    exported = commands.add_parser("export", help="write models/pretrained.pt and .json")
    exported.set_defaults(run_command=_export)
    exported.add_argument("--run", type=path_option, help="the folder of the pretraining (default: BUNDLE/pretraining)")
    exported.add_argument("--cases", type=int, default=PROFILE_CASES, help="simulated cases to compare inputs with")
    calibrated = commands.add_parser("calibrate", help="write models/pretrained_trust.json, on simulated heads")
    calibrated.set_defaults(run_command=_calibrate)
    calibrated.add_argument("--heads", type=int, default=HEADS, help="simulated heads (default: %(default)s)")
    calibrated.add_argument("--label_maps", type=path_option, help="individual heads (default: the average head)")
    calibrated.add_argument("--check", action="store_true", help="instead: print how well it holds on other heads")
    calibrated.add_argument("--spacing", type=float, help="with --check: pixels in mm (default: the simulation's)")
    for command in (exported, calibrated):
        command.add_argument("--bundle", type=path_option, required=True, help="the bundle's folder")
        command.add_argument("--name", default=PRETRAINED_NAME, help="file name of the weights (default: %(default)s)")
    options = parser.parse_args(arguments)
    options.run_command(options)
    return 0


def _export(options: argparse.Namespace) -> None:
    path = export(options.bundle, options.run or options.bundle / "pretraining", options.cases, options.name)
    print(f"written: {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json').name}")


def _calibrate(options: argparse.Namespace) -> None:
    given = (options.bundle, options.label_maps, options.heads, options.name)
    if options.check:
        check(*given, options.spacing)
    else:
        print(f"inferences with the shipped weights use it from now on: {calibrate(*given)}")


if __name__ == "__main__":
    sys.exit(main())
