"""Training of the segmenter of tissues of a modality on simulated heads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common.errors import exit_code_of_user_errors, path_option
from common.segmenter.tissues import MODALITIES
from tools.tissue_segmenter.training import Settings, train


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m tools.tissue_segmenter", description=__doc__)
    parser.add_argument("--modality", choices=MODALITIES, required=True, help="modality of the images to segment")
    parser.add_argument("--label_maps", type=path_option, help="folder of label maps (default: the average head)")
    parser.add_argument("--steps", type=int, default=3000, help="number of updates of 8 slices (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument("--cases", type=int, default=12, help="number of validation heads (default: %(default)s)")
    parser.add_argument("--out", type=path_option, required=True, help="path of the weights")
    given = parser.parse_args(arguments)
    path = given.out
    overlaps = train(Settings(given.modality, given.label_maps, given.steps, given.seed), path, given.cases)
    for name, overlap in overlaps.items():
        print(f"{name:7} Dice {overlap:.3f}")
    print(f"written: {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
