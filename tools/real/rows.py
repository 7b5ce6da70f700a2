"""Scores of one image of a case, its grey scale fitted linearly to the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from common.metrics import score
from common.transforms.head import head_mask

Z_RANGE = (-3.0, 8.0)
"""Of the z-scores of a T2 inside the head, which the metrics with a range clip to."""

COLUMNS = ("mae", "psnr", "ssim", "sharpness")


class Pair(NamedTuple):
    """One case: its name, and the files of source and truth."""

    case: str
    source: Path
    truth: Path


class Row(NamedTuple):
    """What a table says of one image, and what a picture of it needs: volumes (X, Y, Z) of one grid."""

    case: str
    method: str
    source: np.ndarray
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]
    scores: dict[str, float]


def read(path: Path) -> np.ndarray:
    """The values of a NIfTI file, (X, Y, Z) in RAS orientation."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, np.float32)


def head_of(pair: Pair) -> np.ndarray:
    """The head of a case as inference finds it, (X, Y, Z)."""
    return head_mask(read(pair.source), None, axial=2, case=pair.case)


def spacing_of(path: Path) -> tuple[float, float, float]:
    """Voxel size of a NIfTI file in mm, in RAS orientation."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    x, y, z = (float(size) for size in image.header.get_zooms()[:3])
    return x, y, z


def standardised(truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """z-scores of a volume in the mask."""
    return np.asarray((truth - truth[mask].mean()) / truth[mask].std())


def fitted(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image after the line that fits it to the truth in the mask by least squares."""
    slope, intercept = np.polyfit(image[mask].astype(float), truth[mask], 1)
    return np.asarray(slope * image + intercept, np.float32)


def row_of(pair: Pair, method: str, image: np.ndarray, mask: np.ndarray) -> Row:
    """An image of a case against its truth: grey scales of MR are arbitrary, so that every row alike is fitted."""
    truth = standardised(read(pair.truth), mask)
    shown = fitted(image, truth, mask)
    scores = score(shown, truth, mask, Z_RANGE)
    chosen = {name: scores[name] for name in COLUMNS}
    return Row(pair.case, method, read(pair.source), shown, truth, mask, spacing_of(pair.source), chosen)
