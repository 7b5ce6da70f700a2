"""Measures that compare the dose on a synthetic CT with the dose of the same plan on the real CT.

Relative MAE of dose, D98 and V95 follow the code of the SynthRAD challenges (github.com/SynthRAD2023/metrics,
``functions/dose_metrics.py``); V95 is the covered volume, where that code takes matRad's conformity index.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError

Dose = NDArray[np.floating]
Mask = NDArray[np.bool_]
HIGH_DOSE = 0.9
"""Part of the prescription from which a voxel counts for the MAE of dose."""
COVERAGE = 0.95
"""Part of the prescription that V95 asks for."""
NEAR_MINIMUM = 98.0
"""Percent of the target that gets at least D98."""
GAMMA_PERCENT, GAMMA_MM = 2.0, 2.0
"""Criteria of the gamma index: percent of the largest dose on the real CT, and distance."""
GAMMA_CUTOFF = 10.0
"""Percent of the largest dose on the real CT, below which gamma is not computed."""
GAMMA_STEPS = 10
"""Steps that the distance is divided into (Wendling et al. 2007, Med Phys 34:1647)."""


def dose_mae(real: Dose, synthetic: Dose, prescription: float) -> float:
    """Mean absolute difference in percent of the prescription, where the real dose has 90 % of it at least.

    Args:
        real: dose on the real CT in Gy, (X, Y, Z).
        synthetic: dose of the same plan on the synthetic CT in Gy, of the same shape.
        prescription: in Gy.

    Raises:
        DataError: no voxel has so much dose.
    """
    high = real >= HIGH_DOSE * prescription
    if not high.any():
        fault = f"dose on the real CT is {real.max():.3g} Gy at most, below {HIGH_DOSE:.0%} of the {prescription:g} Gy"
        raise DataError(f"{fault} prescribed", "check target and prescription")
    return float(100 * np.abs(real[high] - synthetic[high]).mean() / prescription)


def near_minimum(dose: Dose, target: Mask) -> float:
    """D98 in the unit of ``dose``: the least dose of the 98 % of the target's voxels that get most."""
    return float(np.percentile(dose[target], 100 - NEAR_MINIMUM))


def coverage(dose: Dose, target: Mask, prescription: float) -> float:
    """V95: percent of the target's voxels with at least 95 % of the prescription, which is in the unit of ``dose``."""
    return float(100 * np.mean(dose[target] >= COVERAGE * prescription))


def gamma_pass_rate(real: Dose, synthetic: Dose, spacing: Sequence[float]) -> float:
    """Percent of voxels with gamma of at most 1: 2 %/2 mm, global, where the real dose has 10 % of its maximum.

    Computed by PyMedPhys (Low et al. 1998, Med Phys 25:656).

    Args:
        real: dose on the real CT in Gy, (X, Y, Z), the reference.
        synthetic: dose on the synthetic CT in Gy, of the same shape.
        spacing: of the voxels in mm.
    """
    from pymedphys import gamma

    axes = tuple(step * np.arange(n) for step, n in zip(spacing, real.shape, strict=True))
    found = gamma(
        axes, real.astype(np.float64), axes, synthetic.astype(np.float64), GAMMA_PERCENT, GAMMA_MM,
        lower_percent_dose_cutoff=GAMMA_CUTOFF, interp_fraction=GAMMA_STEPS, max_gamma=1.1, skip_once_passed=True,
        interp_algo="scipy",  # the other one needs numba
    )  # fmt: skip
    return float(100 * np.mean(found[np.isfinite(found)] <= 1))


def compare(
    real: Dose, synthetic: Dose, target: Mask, spacing: Sequence[float], prescription: float
) -> dict[str, float]:
    """All measures of one case.

    Args:
        real: dose on the real CT in Gy, (X, Y, Z).
        synthetic: dose of the same plan on the synthetic CT in Gy.
        target: its voxels.
        spacing: of the voxels in mm.
        prescription: in Gy.

    Returns:
        ``dose_mae`` in percent of the prescription; ``d98`` and ``v95`` on the real CT and ``d98_synthetic``,
        ``v95_synthetic``, D98 in Gy and V95 in percent; ``d98_error`` and ``v95_error``, absolute differences in
        percent of the real value (nan where that is 0); ``gamma`` in percent.

    Raises:
        DataError: see :func:`dose_mae`.
    """
    error = dose_mae(real, synthetic, prescription)
    found = {
        "d98": near_minimum(real, target),
        "d98_synthetic": near_minimum(synthetic, target),
        "v95": coverage(real, target, prescription),
        "v95_synthetic": coverage(synthetic, target, prescription),
    }
    errors = {f"{name}_error": _relative(found[name], found[f"{name}_synthetic"]) for name in ("d98", "v95")}
    return {"dose_mae": error, **found, **errors, "gamma": gamma_pass_rate(real, synthetic, spacing)}


def _relative(real: float, synthetic: float) -> float:
    return 100 * abs(synthetic - real) / real if real else float("nan")
