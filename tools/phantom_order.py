"""Order of fluid, white and grey matter in synthetic CT of phantoms, whose tissues are known.

``python -m tools.phantom_order PHANTOMS PREDICTION...``: the folder of the phantoms, and files
``<case>_synthetic_ct.nii.gz`` or ``<case>/ct.nii.gz`` on their grid.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError, exit_code_of_mistakes
from common.metrics import tissue_order
from common.simulation.dataset import case_seed
from common.simulation.head import head_anatomy
from tools.real.plausibility import PURE
from tools.real.rows import read

REGIONS = {"fluid": "csf", "white": "white", "grey": "grey"}
"""In the order of their HU."""


def regions(phantoms: Path, case: str) -> dict[str, NDArray[np.bool_]]:
    """Where a phantom (X, Y, Z) is fluid, white matter and grey matter alone.

    Raises:
        DataError: the folder has no such phantom.
    """
    if not (phantoms / case).is_dir():
        rule = "is named after a phantom of the folder"
        raise DataError("prediction", rule, case, f"give predictions of cases in {phantoms}")
    about = json.loads((phantoms / "dataset.json").read_text())
    seed = case_seed(about["seed"], int(case.rpartition("_")[2]))
    fractions = head_anatomy(seed, about["spacing_mm"]).fractions
    return {name: fractions[tissue] > PURE for name, tissue in REGIONS.items()}


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Print the medians of each file and whether they rise."""
    parser = argparse.ArgumentParser(prog="python -m tools.phantom_order", description=__doc__)
    parser.add_argument("phantoms", type=Path)
    parser.add_argument("predictions", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    for path in options.predictions:
        case = path.parent.name if path.name == "ct.nii.gz" else path.name.removesuffix("_synthetic_ct.nii.gz")
        masks = regions(options.phantoms, case)
        found = tissue_order(read(path), masks)
        medians = ", ".join(f"{name} {found[name]:.0f}" for name in REGIONS)
        print(f"{path}: {medians} HU; fluid < white < grey: {'yes' if found['ordered'] else 'no'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
