"""False and missed structures of a restored MR."""

from __future__ import annotations

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter, label, maximum_filter

from common.metrics.line_integrals import checked_affine
from common.metrics.masked import Mask, Volume, checked_volumes

BAND_MM = (1.5, 2.4)
"""Standard deviations of the Gaussians whose difference shows blobs and edges some 3 to 6 mm wide; with a ratio of 1.6
it is close to a Laplacian of Gaussian (Marr and Hildreth 1980)."""
ANATOMY_PERCENTILE = 90
"""Of the truth's absolute band in the mask: the contrast of its anatomy. Their median is that of noise alone where much
of the head is even, as in phantoms."""
VISIBLE = 0.43
"""Part of the contrast of the anatomy from which on a structure is seen, 0.7 standard deviations of a normal band."""
COUNTERPART = 0.5
"""A structure has a counterpart where the other image has at least this part of its contrast nearby."""
NEAR_MM = 2.0
"""How far away a counterpart may be."""
LEAST_MM3 = 14.0
"""Volume of the smallest structure: a ball of 3 mm."""
LEAST_VOXELS = 2
PER_MM3 = 1.0e5
"""Counts are per 100 mL."""


def false_structures(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike) -> dict[str, float]:
    """Structures of the prediction that the truth has not, and those of the truth that the prediction misses.

    Both images are band-passed by a difference of Gaussians (``BAND_MM``). A voxel is part of a bright or dark
    structure where its band is above ``VISIBLE`` of the ``ANATOMY_PERCENTILE``-th percentile of the truth's absolute
    band in the mask, and has no counterpart where the other image's band of the same sign stays below ``COUNTERPART``
    of it within ``NEAR_MM``. Connected voxels without a counterpart, at least ``LEAST_MM3`` of them, are one false or
    missed structure. A blur that leaves half of the contrast, and a shift below ``NEAR_MM``, give none.

    In a T1-weighted and a FLAIR image of 1 mm, Rician noise of 10 %, a blur of 1 mm and a shift of 1 mm gave none. Of
    20 added blobs 5 mm wide, 12 and 16 were found at 60 % of the robust maximum, and 8 and 9 at 30 %: others lie
    next to anatomy of their sign. What is not counted may still be there.

    False structures in the sense of Bhadra et al. 2021, IEEE Trans Med Imaging 40:3249, who find hallucinations as the
    error in what the scan did not measure; that needs the scanner's operator, this the two images alone, and so does
    not distinguish hallucinations from remaining aliases.

    Args:
        pred: restored MR (X, Y, Z).
        truth: MR (X, Y, Z) in the same grey scale.
        mask: the head (X, Y, Z), above 0 inside.
        affine: (4, 4) from voxels to mm.

    Returns:
        ``false_structures`` and ``missed_structures`` per 100 mL of the mask, ``false_share`` and ``missed_share``, the
        share of its volume that they take; nan where the truth is constant in the mask.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`; also where the affine is singular.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    spacing = voxel_sizes(checked_affine(affine))
    of_pred, of_truth = (_band(volume, spacing) for volume in (pred, truth))
    limit = VISIBLE * float(np.percentile(np.abs(of_truth[inside]), ANATOMY_PERCENTILE))
    scores = {}
    for name, own, other in (("false", of_pred, of_truth), ("missed", of_truth, of_pred)):
        found = [_unmatched(sign * own, sign * other, limit, spacing) & inside for sign in (1, -1)]
        sizes = np.concatenate([_sizes(each) for each in found])
        kept = sizes[(sizes * spacing.prod() >= LEAST_MM3) & (sizes >= LEAST_VOXELS)]
        scores[f"{name}_structures"] = float(len(kept) * PER_MM3 / (inside.sum() * spacing.prod()))
        scores[f"{name}_share"] = float(kept.sum() / inside.sum())
    return scores if np.ptp(truth[inside]) > 0 else dict.fromkeys(scores, float("nan"))


def _band(volume: Volume, spacing: np.ndarray) -> Volume:
    fine, coarse = (gaussian_filter(volume, width / spacing) for width in BAND_MM)
    return np.asarray(fine - coarse)


def _unmatched(own: Volume, other: Volume, limit: float, spacing: np.ndarray) -> Mask:
    """Voxels of a bright structure whose neighbourhood in the other image has not the least part of it."""
    reach = [np.arange(-steps, steps + 1) for steps in (NEAR_MM / spacing + 1e-6).astype(int)]
    offsets = np.meshgrid(*reach, indexing="ij")
    ball = sum((offset * step) ** 2 for offset, step in zip(offsets, spacing, strict=True)) <= NEAR_MM**2 + 1e-6
    best = maximum_filter(other, footprint=ball, mode="nearest")
    return np.asarray((own > limit) & (best < COUNTERPART * own))


def _sizes(found: Mask) -> np.ndarray:
    """Voxels of each connected part."""
    numbers, _ = label(found)
    return np.bincount(numbers.ravel())[1:]
