"""Axial, coronal and sagittal planes of a RAS volume, and the colour range of their difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .contents import Panel

PLANES = ("Axial", "Coronal", "Sagittal")
EDGES = {"Axial": ("R", "L", "A", "P"), "Coronal": ("R", "L", "S", "I"), "Sagittal": ("A", "P", "S", "I")}
"""Directions at the left, right, top and bottom of each plane: the patient's left is on the right (radiological)."""


def plane_centre(panel: Panel) -> tuple[int, int, int]:
    """Voxel index of the mask's centre of mass, or of the volume's centre if the mask is absent or empty."""
    if panel.mask is None or not np.any(panel.mask):
        x, y, z = (size // 2 for size in panel.synthetic.shape)
        return x, y, z
    inside = panel.mask != 0
    counts = (inside.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    x, y, z = (round(float(np.average(np.arange(count.size), weights=count))) for count in counts)
    return x, y, z


def three_planes(volume: np.ndarray, centre: tuple[int, int, int]) -> list[np.ndarray]:
    """Axial (Y, X), coronal (Z, X) and sagittal (Z, Y) planes of a RAS volume (X, Y, Z) through ``centre``.

    The first row is the top of the image. Radiological convention: axial and coronal planes show the patient's left on
    the right, the axial plane has anterior at the top, the others superior, the sagittal plane anterior on the left.
    """
    x, y, z = centre
    axial, coronal, sagittal = volume[::-1, ::-1, z], volume[::-1, y, ::-1], volume[x, ::-1, ::-1]
    return [np.asarray(plane).T for plane in (axial, coronal, sagittal)]


def plane_sizes(panel: Panel) -> list[tuple[float, float]]:
    """(height, width) of the three planes in mm."""
    x, y, z = (size * step for size, step in zip(panel.synthetic.shape, panel.spacing, strict=True))
    return [(y, x), (z, x), (z, y)]


def difference_planes(panel: Panel) -> list[np.ndarray]:
    """Difference synthetic - truth on the three planes, in the panel's unit, float64; NaN outside a mask that is not
    empty. Empty without a truth.
    """
    if panel.truth is None:
        return []
    centre = plane_centre(panel)
    pairs = zip(three_planes(panel.synthetic, centre), three_planes(panel.truth, centre), strict=True)
    planes = [synthetic.astype(np.float64) - truth for synthetic, truth in pairs]
    if panel.mask is None or not np.any(panel.mask):
        return planes
    masks = three_planes(panel.mask, centre)
    return [np.where(mask != 0, plane, np.nan) for plane, mask in zip(planes, masks, strict=True)]


def percentiles(values: np.ndarray, below: float, above: float) -> tuple[float, float]:
    """Two percentiles of the finite values as ends of a grey scale, the second above the first; 0 and 1 without any."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [below, above]).tolist() if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def symmetric_limit(planes: Sequence[np.ndarray]) -> float:
    """Limit v of a colour range [-v, v]: the 99th percentile of the finite |values|, robust to outliers.

    If the percentile is 0 it is the largest |value|, and 1.0 if all values are zero or none is finite.
    """
    values = np.abs(np.concatenate([plane.ravel() for plane in planes]))
    values = values[np.isfinite(values)]
    limit = float(np.percentile(values, 99)) if values.size else 0.0
    return limit or float(values.max(initial=0.0)) or 1.0


def difference_limit(panel: Panel) -> float:
    """Colour limit (:func:`symmetric_limit`) of the panel's difference inside its mask, in its unit."""
    return symmetric_limit(difference_planes(panel))
