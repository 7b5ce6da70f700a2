"""Uncertainty maps of an inference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...errors import ConfigError
from ...metrics.masked import ARBITRARY, PERCENT, Z_SCORES
from ...weights.info import read_info, sidecar
from .conformal import cut, half_widths
from .record import COMMAND, read_record
from .variations import manner, spread_of, variations


def brightness(prediction: np.ndarray) -> float:
    """What is bright in a volume of any scale: the 99.5th percentile of the voxels above its mean; 1 for a flat one."""
    above = prediction[prediction > prediction.mean(dtype=float)]
    return float(np.percentile(above, 99.5)) if above.size else 1.0


def target_window(weights: Path) -> tuple[float, float] | None:
    """Range in their unit of the targets that weights were trained with; None where none is recorded next to them."""
    window = read_info(weights).settings.get("target_window") if sidecar(weights).is_file() else None
    return (float(window[0]), float(window[1])) if isinstance(window, list) and len(window) == 2 else None


class UncertaintyMaps:
    """Half widths of the intervals of predictions, by the calibration of the weights.

    A calibration in z-scores is for predictions in the unit of the training targets too, since
    :class:`common.stitching.TargetScaleInferer` is linear: a half width is multiplied by their standard deviation. The
    interval is then one for the target scaled to mean and standard deviation of the training's. One in percent of
    brightness is multiplied by what is bright in the prediction. No interval is wider than the range of the training
    targets needs, where one is recorded.

    Args:
        weights: with their calibration next to them.
        unit: of the predictions.

    Raises:
        CheckpointError: see :func:`common.trust.intervals.record.read_record`.
        ConfigError: the calibration is in another unit.
    """

    def __init__(self, weights: Path, unit: str) -> None:
        self.record = read_record(weights)
        self.unit = unit
        self.window = target_window(weights)
        scaled = PERCENT if unit == ARBITRARY else unit
        if self.record.unit not in (scaled, Z_SCORES):
            raise ConfigError("--uncertainty", f"is calibrated in {self.record.unit}", unit, f"calibrate: {COMMAND}")

    def require_same_manner(self, inferer: Callable[..., Tensor], network: nn.Module) -> None:
        """Refuse an inference that predicts otherwise than the calibrated one.

        Raises:
            ConfigError: for other mirrored axes, steps of a flow, stitching or variations, or a calibration in z-scores
                of a network that keeps no scale of its targets.
        """
        if self.record.unit == Z_SCORES != self.unit and not hasattr(network, "target_scale"):
            remedy = "omit --uncertainty: these weights keep no scale of their targets"
            raise ConfigError("--uncertainty", "is calibrated in z-scores", self.unit, remedy)
        for name, value in manner(inferer, network).items():
            if value != (calibrated := self.record.manner.get(name)):
                rule = f"is calibrated for {name} {calibrated}"
                raise ConfigError("--uncertainty", rule, value, f"omit --uncertainty or the option of {name}")

    def passes(self, inferer: Callable[..., Tensor], network: nn.Module) -> int:
        """How often a map infers a case again."""
        return len(variations(inferer, network))

    def half_widths(
        self,
        image: Tensor,
        prediction: np.ndarray,
        inferer: Callable[..., Tensor],
        network: nn.Module,
        restore: Callable[[Tensor], np.ndarray],
    ) -> np.ndarray:
        """The map of a case, float32 (X, Y, Z), in the unit of its prediction.

        Args:
            image: (C, X, Y, Z), as the network takes it, on its device.
            prediction: (X, Y, Z) on the source's grid.
            inferer: of the prediction.
            network: of the prediction.
            restore: an output (C', X, Y, Z) to the grid and unit of the prediction.
        """
        spread = spread_of(image, prediction, variations(inferer, network), restore)
        scale = self._scale(prediction, network)
        intervals = {name: each._replace(floor=each.floor * scale) for name, each in self.record.intervals.items()}
        return cut(half_widths(prediction, spread, intervals, self.record.unit), prediction, self.window)

    def _scale(self, prediction: np.ndarray, network: Any) -> float:
        """What one of the calibration's unit is in that of the prediction."""
        if self.record.unit == self.unit:
            return 1.0
        return brightness(prediction) / 100 if self.record.unit == PERCENT else float(network.target_scale[1])

    def told(self) -> dict[str, Any]:
        """What the sidecar of a volume says of its map."""
        return {"Level": self.record.level, "CaseLevel": self.record.case_level, "Unit": self.unit}
