"""Piecewise-linear scale between a unit and [-1, 1]: a window whose inside is divided unevenly by points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError

Point = Sequence[float]
"""Value in the unit of the window, and where it lies in [-1, 1]."""


class PiecewiseLinearScale:
    """The piecewise-linear map of a unit to [-1, 1] through ``(low, -1)``, the points and ``(high, 1)``.

    Within a segment of slope s an error of 1 unit is s in the scaled image: points say how much of a loss on scaled
    images, such as L1, falls to each range. Without points the map is the line of the window. Beyond the window the
    outermost segments go on, so that the map has an inverse everywhere.

    Args:
        window: ``[low, high]`` in the unit, such as HU.
        points: ``[value, scaled]`` between the ends of the window; None or empty for none.

    Raises:
        ConfigError: the window is not two numbers, the lower first, or the points do not rise strictly in both columns.
    """

    def __init__(self, window: Sequence[float], points: Sequence[Point] | None = ()) -> None:
        if np.shape(window) != (2,) or not np.isfinite(window).all() or not window[0] < window[1]:
            raise ConfigError(f"--target_window is {window}, not two numbers, the lower first", "write [low, high]")
        self.low, self.high = (float(end) for end in window)
        ends = [self.low, -1], [self.high, 1]
        through = np.array([ends[0], *_pairs(points or ()), ends[1]], float)
        if len(through) != 2 + len(points or ()) or not (np.diff(through, axis=0) > 0).all():
            columns = f"both columns from [{self.low:g}, -1] to [{self.high:g}, 1]"
            fault = f"--target_scale_points {points} do not rise strictly in {columns}"
            raise ConfigError(fault, "give rising pairs, or widen --target_window; [] for none")
        self.even = ((through[:, 0] - self.low) / (self.high - self.low) * 2 - 1).tolist()
        self.bent = through[:, 1].tolist()

    def down_to(self, low: float, part: float) -> PiecewiseLinearScale:
        """The same scale; its lowest ``part`` stands for all values from ``low``, below the window, up."""
        end = float(self.unscaled(torch.tensor(part - 1.0)))
        points = zip(np.interp(self.even, [-1, 1], [self.low, self.high]), self.bent, strict=True)
        return PiecewiseLinearScale(
            [low, self.high], [(end, part - 1), *((v, s) for v, s in points if part - 1 < s < 1)]
        )

    def scaled(self, values: Tensor, clip: bool = False) -> Tensor:
        """Values in the unit, of any shape, on the scale; with ``clip`` those beyond the window are at its ends."""
        even = (values - self.low) / (self.high - self.low) * 2 - 1
        return _through(even.clamp(-1, 1) if clip else even, self.even, self.bent)

    def unscaled(self, values: Tensor) -> Tensor:
        """Scaled values, of any shape, in the unit: the inverse of :meth:`scaled`."""
        return (_through(values, self.bent, self.even) + 1) / 2 * (self.high - self.low) + self.low


def _pairs(points: Sequence[Point]) -> list[Point]:
    """Those of the points that are pairs of finite numbers."""
    numbers = (int, float)
    return [
        point
        for point in points
        if isinstance(point, list | tuple)
        and len(point) == 2
        and all(isinstance(part, numbers) and math.isfinite(part) for part in point)
    ]


def _through(values: Tensor, places: Sequence[float], heights: Sequence[float]) -> Tensor:
    """Linear interpolation between points, on along the first and last segment; a single segment changes nothing."""
    count = len(places) - 1
    if count == 1:
        return values
    result = torch.full_like(values, heights[0])
    for number, (start, end) in enumerate(zip(places, places[1:], strict=False)):
        slope = (heights[number + 1] - heights[number]) / (end - start)
        low, high = 0.0 if number else None, end - start if number < count - 1 else None
        result = result + (values - start).clamp(low, high) * slope
    return result
