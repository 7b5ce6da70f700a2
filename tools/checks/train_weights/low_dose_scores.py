"""Low-dose CT of a scan that no training saw: networks, and non-local means tuned on the scans that were trained on.

``RUNS/<name>_<scan>/`` holds a run that was not trained on SCAN. RMSE in HU inside the body and ``mtf50`` in 1/mm.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
from ldct_wgan_vgg.classical import noise_level
from ldct_wgan_vgg.quality import transfer_scores
from numpy.typing import ArrayLike, NDArray

from common.evaluation.filters import NonLocalMeans
from common.transforms import head_mask
from common.weights.checkpoints import WEIGHTS_NAME
from common.weights.info import read_info
from tools.checks.train_weights.low_dose import DOSES, SCANS

STRENGTHS, PATCHES, DISTANCES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2), (3, 5, 7), (6, 10)
TUNED_ON = slice(4, None, 16)
"""Slices of a scan that the filter is tuned on."""
BODY_HU = -500.0
Setting = tuple[float, int, int]
"""Strength, side of the patches and largest distance."""


class DoseCase:
    """Input, truth, body and affine of a scan at a dose."""

    def __init__(self, pairs: Path, scan: str, dose: float) -> None:
        self.folder = pairs / f"{scan}_test_1_{dose:g}"
        image = nib.nifti1.load(self.folder / "ndct.nii.gz")
        self.affine, self.truth = image.affine, image.get_fdata()
        self.low = nib.nifti1.load(self.folder / "ldct.nii.gz").get_fdata()
        self.body = head_mask(self.truth, BODY_HU, axial=2, case=self.folder.name)

    def rmse(self, image: NDArray[np.float64], slices: slice = slice(None)) -> float:
        """Root mean square error in HU inside the body."""
        wrong = (image - self.truth[..., slices])[self.body[..., slices]]
        return float(np.sqrt(np.square(wrong).mean()))

    def scores(self, image: NDArray[np.float64]) -> dict[str, float]:
        """Both measures."""
        return {"rmse": self.rmse(image), **transfer_scores(image, self.truth, self.body, self.affine)}


@cache
def filter_errors(pairs: Path, scan: str, dose: float) -> dict[Setting, float]:
    """RMSE of each setting of non-local means, relative to the input's."""
    case = DoseCase(pairs, scan, dose)
    low, level = case.low[..., TUNED_ON], noise_level(case.low)
    settings = itertools.product(STRENGTHS, PATCHES, DISTANCES)
    images = ((each, NonLocalMeans(partial(_known, level), *each)(low)) for each in settings)
    return {each: case.rmse(image, TUNED_ON) / case.rmse(low, TUNED_ON) for each, image in images}


def tuned_filter(pairs: Path, evaluated: str, dose: float) -> Setting:
    """Setting of non-local means with the lowest error on the other scans at this dose."""
    errors = [filter_errors(pairs, scan, dose) for scan in SCANS if scan != evaluated]
    return min(errors[0], key=lambda setting: sum(each[setting] for each in errors))


def _known(level: float, _: ArrayLike) -> float:
    return level


def restored(case: DoseCase, run: Path) -> NDArray[np.float64]:
    """What the weights of a run make of a case, by ``synthesize``."""
    with TemporaryDirectory() as folder:
        files = [str(case.folder / "ldct.nii.gz"), "-o", str(Path(folder, "ct.nii.gz"))]
        weights = ["--weights", str(run / "models" / WEIGHTS_NAME)]
        subprocess.run([sys.executable, "-m", "medical_image_synthesis", "ldct", *files, *weights], check=True)
        return nib.nifti1.load(files[-1]).get_fdata()


def scores(pairs: Path, runs: Path, scan: str) -> Iterator[dict[str, Any]]:
    """A line for each dose and method of an evaluated scan."""
    for dose in DOSES["test"]:
        case, setting = DoseCase(pairs, scan, dose), tuned_filter(pairs, scan, dose)
        about = {"scan": scan, "dose": dose}
        yield {**about, "method": "input", **case.scores(case.low)}
        image = NonLocalMeans(noise_level, *setting)(case.low)
        yield {**about, "method": "non-local means", "setting": setting, **case.scores(image)}
        for run in sorted(runs.glob(f"*_{scan}")):
            epoch = read_info(run / "models" / WEIGHTS_NAME).metadata["epoch"]
            yield {**about, "method": run.name, "epoch": epoch, **case.scores(restored(case, run))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.checks.train_weights.low_dose_scores", description=__doc__)
    parser.add_argument("pairs", type=Path, help="folder that low_dose wrote")
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("scans", nargs="*", default=list(SCANS), help="evaluated (default: each)")
    given = parser.parse_args()
    for each in given.scans:
        for line in scores(given.pairs, given.runs, each):
            print(json.dumps(line), flush=True)
