"""Dice and Hausdorff distance of the structures that TotalSegmentator finds, by the rules of SynthRAD2025."""

from __future__ import annotations

import importlib
import importlib.util

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError, DataError
from ..segmenter.segmentation import dice
from ..units import HU
from .surfaces import hd95

PACKAGE = "totalsegmentator"
SPINE = (*range(26, 51), 79)
"""Vertebrae S1 to C1 and the spinal cord, by the numbers of TotalSegmentator's task "total" (version 2)."""
TRUNK = (2, 3, 5, 6, *range(10, 15), *SPINE, 51, *range(92, 117))
"""Kidneys, liver, stomach, lobes of the lungs, spine, heart, ribs and sternum."""
SCORED = {
    "head and neck": (15, 16, 17, *SPINE, 90, 91),  # oesophagus, trachea, thyroid; brain and skull
    "thorax": TRUNK,
    "abdomen": TRUNK,
}
"""Structures that SynthRAD2025 scores in each body part, by its evaluation since 16 April 2025."""
ALL = tuple(sorted({number for numbers in SCORED.values() for number in numbers}))

Labels = NDArray[np.uint8]


class StructureOverlap:
    """Mean Dice overlap and 95th percentile Hausdorff distance of TotalSegmentator's structures in CT.

    ``dice`` and ``hd95`` (mm) are means over the structures of the body part that the truth has; one that the
    synthetic CT lacks counts 0 in ``dice`` and makes ``hd95`` infinite. Like the organisers' code, both regard the
    whole volume, not the mask alone, and the model at 3 mm. Without the package ``totalsegmentator`` nothing is
    measured; :class:`common.metrics.TissueDice` has the overlap of tissues then.

    Args:
        unit: of the volumes; in any other than HU nothing is measured.
    """

    def __init__(self, unit: str) -> None:
        self.measured = unit == HU and importlib.util.find_spec(PACKAGE) is not None
        self._last: tuple[ArrayLike, Labels] | None = None

    def __call__(self, pred: ArrayLike, truth: ArrayLike, affine: ArrayLike, body_part: str = "") -> dict[str, float]:
        """The measures of volumes (X, Y, Z) in HU.

        Args:
            pred: synthetic CT.
            truth: real CT.
            affine: (4, 4) of both, to RAS mm.
            body_part: one of :data:`SCORED`; for others the structures of all of them count.

        Raises:
            DataError: shapes differ.
            ConfigError: TotalSegmentator fails.
        """
        if not self.measured:
            return {}
        if np.shape(pred) != np.shape(truth):
            raise DataError(f"prediction has shape {np.shape(pred)}, the truth {np.shape(truth)}", "resample it")
        if self._last is None or self._last[0] is not truth:  # each method is compared with the same truth
            self._last = truth, _segmented(truth, affine)
        sizes, numbers = voxel_sizes(np.asarray(affine)), SCORED.get(body_part, ALL)
        return overlap(_segmented(pred, affine), self._last[1], sizes, numbers)


def overlap(ours: Labels, theirs: Labels, spacing: ArrayLike, numbers: tuple[int, ...] = ALL) -> dict[str, float]:
    """Means of Dice and HD95 over those of some structures that the truth has; nan without any.

    Args:
        ours: labels (X, Y, Z) of the synthetic volume.
        theirs: labels of the true volume.
        spacing: voxel size in mm.
        numbers: labels that count.
    """
    pairs = [(ours == number, theirs == number) for number in numbers if (theirs == number).any()]
    if not pairs:
        return {"dice": float("nan"), "hd95": float("nan")}
    return {
        "dice": float(np.mean([dice(predicted, real) for predicted, real in pairs])),
        "hd95": float(np.mean([hd95(predicted, real, spacing) for predicted, real in pairs])),
    }


def _segmented(volume: ArrayLike, affine: ArrayLike) -> Labels:
    """Labels (X, Y, Z) of TotalSegmentator's task "total" at 3 mm."""
    image = nib.nifti1.Nifti1Image(np.asarray(volume, np.float32), np.asarray(affine, float))
    try:
        segment = importlib.import_module(f"{PACKAGE}.python_api").totalsegmentator
        labels = segment(image, None, ml=True, fast=True, skip_saving=True, quiet=True)
    except Exception as error:  # any of its own, of nnU-Net's, or of a download without a network
        reason = f"{type(error).__name__}: {error}"[:200]
        remedy = "run TotalSegmentator once on this machine to download its weights, or uninstall it"
        raise ConfigError(f"TotalSegmentator fails ({reason})", remedy) from error
    return np.asarray(labels.dataobj).astype(np.uint8)
