"""Contrast of lesions in a synthetic volume, as a difference in any unit or as a ratio."""

from __future__ import annotations

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt, label

from ..errors import DataError
from .line_integrals import checked_affine
from .masked import checked_volumes, mean_or_nan

RING_MM = (2.0, 6.0)
"""Distances between which the surroundings of a lesion lie; nearer voxels share its partial volume and blur."""


def lesion_scores(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, lesion: ArrayLike, affine: ArrayLike
) -> dict[str, float]:
    """``contrast_recovery``: contrast of the lesions in the prediction over that in the truth, ideal 1.

    The contrast of a lesion is its mean minus that of its surroundings, the voxels of the mask ``RING_MM`` away from
    it and from no other lesion nearer. Over several lesions it is the least-squares slope sum c_pred c_truth / sum
    c_truth^2, so that bright and dark lesions do not cancel.

    Args:
        pred: synthetic volume (X, Y, Z).
        truth: real volume (X, Y, Z) in the same unit.
        mask: the body or the brain (X, Y, Z), above 0 inside.
        lesion: region of the lesions (X, Y, Z), above 0 inside; each connected part is one.
        affine: (4, 4) from voxels to mm.

    Returns:
        nan where no lesion has surroundings, or the truth shows no contrast.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`; also where the lesions have another shape, or the
            affine is singular.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    marked = np.asarray(lesion) > 0
    if marked.shape != truth.shape:
        raise DataError(f"lesion has shape {marked.shape}, the truth {truth.shape}", "resample it")
    if not marked.any():
        return {"contrast_recovery": float("nan")}
    numbers, count = label(marked)
    to_mm = checked_affine(affine)
    away, nearest = distance_transform_edt(~marked, sampling=voxel_sizes(to_mm), return_indices=True)
    around = np.where(inside & (away >= RING_MM[0]) & (away <= RING_MM[1]), numbers[tuple(nearest)], 0)
    contrasts = np.array(
        [
            [volume[numbers == number].mean() - volume[around == number].mean() for volume in (pred, truth)]
            for number in range(1, count + 1)
            if (around == number).any()
        ]
    ).reshape(-1, 2)
    shown, real = contrasts.T
    return {"contrast_recovery": float(shown @ real / (real @ real)) if real.any() else float("nan")}


def lesion_ratio(volume: ArrayLike, lesion: ArrayLike, white: ArrayLike) -> float:
    """Mean over the lesions over the mean over normal-appearing white matter; nan where the latter is not above 0.

    Args:
        volume: (X, Y, Z), whose 0 is no signal.
        lesion: region of the lesions (X, Y, Z), above 0 inside.
        white: normal-appearing white matter (X, Y, Z), above 0 inside.
    """
    values = np.asarray(volume, dtype=np.float64)
    shown, around = (mean_or_nan(values[np.asarray(region) > 0]) for region in (lesion, white))
    return shown / around if around > 0 else float("nan")
