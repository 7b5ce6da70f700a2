"""Metrics of contrast removal, inside the vessels and outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from common.metrics.masked import checked_volumes, mean_or_nan
from common.units import AIR_BELOW_HU, BONE_ABOVE_HU

PARENCHYMA_HU = (0.0, 80.0)
"""Range of unenhanced soft tissue of the head."""


def enhancement_scores(
    pred: ArrayLike, source: ArrayLike, mask: ArrayLike, vessel: ArrayLike | None = None, truth: ArrayLike | None = None
) -> dict[str, float]:
    """Scores of a synthetic unenhanced CT in HU, as far as vessel mask and truth are given.

    - ``residual_outside``: mean |prediction - source| inside the mask and outside the vessels; ideal 0 but for the
      source's own noise and parenchymal enhancement.
    - ``vessel_removed``: mean source - prediction inside the vessels, the removed enhancement.
    - ``vessel_mae``: mean |prediction - truth| inside the vessels.
    - ``vessel_excess``: share of the true enhancement that remains there, mean (prediction - truth) / mean (source -
      truth); copying the source gives 1, ideal 0.
    - ``bias_outside``, ``bias_bone``, ``bias_parenchyma``, ``bias_air``: mean prediction - truth outside the vessels,
      and in the tissues of the truth there (bone > 250 HU, parenchyma 0 to 80 HU, air < -200 HU).

    Args:
        pred: synthetic CT (X, Y, Z) in HU.
        source: contrast-enhanced CT on the same grid.
        mask: the voxels to score, above 0 inside.
        vessel: the enhanced vessels, above 0 inside.
        truth: registered unenhanced CT.

    Raises:
        DataError: shapes differ, a value is not finite or the mask is empty.
    """
    pred, source, inside = checked_volumes(pred, source, mask)
    vessels = inside & (np.asarray(vessel) > 0) if vessel is not None else np.zeros_like(inside)
    outside = inside & ~vessels
    scores = {"residual_outside": mean_or_nan(np.abs(pred - source)[outside])}
    if vessel is not None:
        scores["vessel_removed"] = mean_or_nan((source - pred)[vessels])
    if truth is None:
        return scores
    _, truth, _ = checked_volumes(pred, truth, mask)
    if vessel is not None:
        scores["vessel_mae"] = mean_or_nan(np.abs(pred - truth)[vessels])
        excess = mean_or_nan((source - truth)[vessels])
        scores["vessel_excess"] = mean_or_nan((pred - truth)[vessels]) / excess if excess else float("nan")
    tissues = {
        "outside": outside,
        "bone": outside & (truth > BONE_ABOVE_HU),
        "parenchyma": outside & (truth >= PARENCHYMA_HU[0]) & (truth <= PARENCHYMA_HU[1]),
        "air": outside & (truth < AIR_BELOW_HU),
    }
    return scores | {f"bias_{name}": mean_or_nan((pred - truth)[where]) for name, where in tissues.items()}
