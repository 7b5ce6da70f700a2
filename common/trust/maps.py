"""Uncertainty maps of an inference: the half-width of the interval of each voxel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..errors import ConfigError
from ..stitching import FlowInferer, MirrorInferer, PatchStitchingInferer
from ..units import ARBITRARY, PERCENT, Z_SCORES
from ..weights.info import read_info, sidecar
from .intervals import cut, half_widths, removed_around, use_spread
from .record import REMEDY, read_record


def brightness(prediction: np.ndarray) -> float:
    """What is bright in a volume of any scale: the 99.5th percentile of the voxels above its mean; 1 for a flat one."""
    above = prediction[prediction > prediction.mean(dtype=float)]
    return float(np.percentile(above, 99.5)) if above.size else 1.0


def target_window(weights: Path) -> tuple[float, float] | None:
    """Range in their unit of the targets that weights were trained with; None where none is recorded next to them."""
    window = read_info(weights).settings.get("target_window") if sidecar(weights).is_file() else None
    return (float(window[0]), float(window[1])) if isinstance(window, list) and len(window) == 2 else None


def inference_options(inferer: Any) -> dict[str, Any]:
    """What a calibration holds for in addition to the weights: mirrored axes, steps of a flow, mode of stitching."""
    parts = list(_chain(inferer))
    return {
        "mirrored": [axis for part in parts if isinstance(part, MirrorInferer) for axis in part.axes],
        "steps": [part.steps for part in parts if isinstance(part, FlowInferer)],
        "mode": [part.mode for part in parts if isinstance(part, PatchStitchingInferer)],
    }


def _chain(inferer: Any) -> Iterator[Any]:
    """An inferer and those that it applies."""
    while inferer is not None:
        yield inferer
        inferer = getattr(inferer, "inferer", None)


class UncertaintyMaps:
    """Half-widths of the intervals of predictions, by the calibration of the weights.

    A calibration in z-scores is for predictions in the unit of the training targets too, since
    :class:`common.stitching.TargetScaleInferer` is linear: a half-width is multiplied by their standard deviation. The
    interval is then one for the target scaled to mean and standard deviation of the training's. One in percent of
    brightness is multiplied by what is bright in the prediction. No interval is wider than the range of the training
    targets needs, where one is recorded.

    Args:
        weights: with their calibration next to them.
        unit: of the predictions.

    Attributes:
        needs_source: intervals grow with what was removed from the source.

    Raises:
        CheckpointError: see :func:`common.trust.record.read_record`.
        ConfigError: the calibration is in another unit.
    """

    def __init__(self, weights: Path, unit: str) -> None:
        self.record = read_record(weights)
        self.unit = unit
        self.window = target_window(weights)
        self.needs_source = use_spread(self.record.intervals)
        scaled = PERCENT if unit == ARBITRARY else unit
        if self.record.unit not in (scaled, Z_SCORES):
            raise ConfigError(f"--uncertainty is calibrated in {self.record.unit}, not in {unit}", REMEDY)

    def require_same_inference(self, inferer: Callable[..., Tensor], network: nn.Module) -> None:
        """Refuse an inference that predicts otherwise than the calibrated one.

        Raises:
            ConfigError: for other mirrored axes, steps of a flow or stitching, or a calibration in z-scores of a
                network that keeps no scale of its targets.
        """
        if self.record.unit == Z_SCORES != self.unit and not hasattr(network, "target_scale"):
            fault = f"--uncertainty is calibrated in z-scores, and these weights keep no scale in {self.unit}"
            raise ConfigError(fault, "omit it")
        for name, value in inference_options(inferer).items():
            if value != (calibrated := self.record.inference.get(name)):
                fault = f"--uncertainty is calibrated for {name} {calibrated}, not {value}"
                raise ConfigError(fault, f"omit it, or infer with {name} {calibrated}")

    def half_widths(self, prediction: np.ndarray, network: nn.Module, source: np.ndarray | None = None) -> np.ndarray:
        """The map of a case, float32 (X, Y, Z), in the unit of its prediction.

        Args:
            prediction: (X, Y, Z) on the source's grid.
            network: that predicted.
            source: in the unit of the prediction, where :attr:`needs_source`.
        """
        spread = np.zeros(1) if source is None else removed_around(source, prediction)
        scale = self._scale(prediction, network)
        intervals = {
            name: each._replace(constant=each.constant * scale) for name, each in self.record.intervals.items()
        }
        return cut(half_widths(prediction, spread, intervals, self.record.unit), prediction, self.window)

    def _scale(self, prediction: np.ndarray, network: Any) -> float:
        """What one of the calibration's unit is in that of the prediction."""
        if self.record.unit == self.unit:
            return 1.0
        return brightness(prediction) / 100 if self.record.unit == PERCENT else float(network.target_scale[1])

    def metadata(self) -> dict[str, Any]:
        """What the sidecar of a volume records of its map."""
        return {"Level": self.record.level, "CaseLevel": self.record.case_level, "Unit": self.unit}
