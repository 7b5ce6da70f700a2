"""Direction, unit and explanation of the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Direction = Literal["lower", "higher", "ideal", "unknown"]


@dataclass(frozen=True)
class MetricInfo:
    """Interpretation of a metric.

    Args:
        direction: ``lower`` or ``higher`` is better, ``ideal`` (best close to ``ideal``), or ``unknown``.
        unit: unit of the metric; ``{unit}`` stands for the unit of the target. Empty for a ratio.
        ideal: the best value if ``direction`` is ``ideal``.
        explanation: definition, if the name is not enough.
    """

    direction: Direction
    unit: str = ""
    ideal: float = 0.0
    explanation: str = ""

    @property
    def arrow(self) -> str:
        """Sign next to the metric's name: ↓, ↑, → 1 or nothing."""
        return {"lower": "↓", "higher": "↑", "ideal": f"→ {self.ideal:g}", "unknown": ""}[self.direction]

    @property
    def meaning(self) -> str:
        """Explanation, if any, and the arrow in words."""
        words = {"lower": "lower is better", "higher": "higher is better", "unknown": "no better direction"}
        arrow = words.get(self.direction, f"best at {self.ideal:g}")
        return f"{self.explanation}; {arrow}" if self.explanation else arrow

    def badness(self, values: np.ndarray) -> np.ndarray:
        """Cost (lower is better) of values of any shape: the values, their negative, or their distance to the ideal."""
        if self.direction == "ideal":
            return np.abs(values - self.ideal)
        return -values if self.direction == "higher" else values


KNOWN = {
    "mae": MetricInfo("lower", "{unit}"),
    "mse": MetricInfo("lower", "{unit}²"),
    "rmse": MetricInfo("lower", "{unit}"),
    "bias": MetricInfo("ideal", "{unit}", 0.0),
    "residual": MetricInfo("lower", "{unit}"),
    "vessel_removed": MetricInfo("unknown", "{unit}"),
    "vessel_excess": MetricInfo("ideal", "", 0.0),
    "psnr": MetricInfo("higher", "dB"),
    "psnr_nie": MetricInfo(
        "higher", "dB", explanation="20 log10(peak / RMSE), the peak being the larger maximum of prediction and truth"
    ),
    "psnr_peak": MetricInfo("higher", "dB", explanation="20 log10(peak / RMSE), unclipped, the peak being peak_truth"),
    "peak_truth": MetricInfo("unknown", "{unit}", explanation="maximum of the truth inside the mask"),
    "ssim": MetricInfo("higher"),
    "ms_ssim": MetricInfo("higher"),
    "dice": MetricInfo("higher"),
    "hfen": MetricInfo("lower"),
    "sharpness": MetricInfo("ideal", "", 1.0),
    "slice_jumps": MetricInfo("ideal", "", 1.0),
    "kid": MetricInfo("lower"),
    "diversity": MetricInfo("ideal", "", 1.0),
    "copied": MetricInfo("lower"),
    "class_consistency": MetricInfo("higher"),
    "sensitivity": MetricInfo("higher"),
    "specificity": MetricInfo("higher"),
    "balanced_accuracy": MetricInfo("higher"),
    "lesion_error": MetricInfo("lower", "{unit}", explanation="mean absolute difference in the lesions"),
    "nawm_error": MetricInfo(
        "lower", "{unit}", explanation="mean absolute difference in the normal-appearing white matter of patients"
    ),
    "control_wm_error": MetricInfo(
        "lower", "{unit}", explanation="mean absolute difference in the white matter of cases without lesions"
    ),
    "lesion_contrast": MetricInfo(
        "unknown", explanation="mean of the lesions over that of normal-appearing white matter; best as in the truth"
    ),
    "lesion_contrast_truth": MetricInfo("unknown", explanation="lesion_contrast of the truth"),
    "demyelination_dice": MetricInfo(
        "higher", explanation="overlap of the demyelinated voxels, below one threshold in prediction and truth"
    ),
}


def metric_info(name: str, own: Mapping[str, MetricInfo] | None = None) -> MetricInfo:
    """Interpretation of the metric ``name``, looked up in ``own``, then in ``KNOWN``.

    In each table the longest known prefix decides, else the longest known suffix: ``mae_bone`` reads as ``mae``,
    ``val_ms_ssim`` as ``ms_ssim``. An unknown metric has direction ``unknown``: it is shown without a best value.
    """
    words = name.split("_")
    pieces = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    pieces += ["_".join(words[start:]) for start in range(1, len(words))]
    found = (table[piece] for table in (own or {}, KNOWN) for piece in pieces if piece in table)
    return next(found, MetricInfo("unknown"))
