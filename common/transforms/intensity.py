"""Intensity scaling by window or percentiles, and its inverse."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_tensor
from torch import Tensor

from ..errors import ConfigError
from ..units import TISSUE_ABOVE_HU
from .piecewise_linear import PiecewiseLinearScale, Point

LEAST_SPAN = 1e-4
"""Range of an image with contrast, in parts of its largest value; float32 has 800 grey levels left in it."""
LOWEST = 0.05
"""Part of the scale, 2 wide, that is stretched down to air; with 0.1 and 0.2 soft tissue got worse in a short run."""
SLAB_VOXELS = 2**22
"""Voxels at a time; 16 MiB as float32."""


class ScaleWindowd(MapTransform):
    """Map intensities to [-1, 1], by a fixed window or by a range computed from each image; see :class:`ToUnitd`.

    A float32 ``MetaTensor``, such as a loaded volume, is scaled in its own memory.

    Args:
        keys: items (C, ...); each channel is scaled separately.
        window: ``[low, high]`` in the image's unit: a fixed window, the same for every case; or a list of them, one per
            channel.
        percentiles: ``[low, high]`` in percent, instead of ``window``: the window is between these percentiles of the
            voxels above the minimum of the image, so that one setting fits several scanners. For sources only; a target
            needs a fixed window to be restored at export.
        clip: clip values outside the window.
        allow_missing_keys: skip absent keys.
        points: of a piecewise-linear scale between the ends of ``window``, see
            :class:`common.transforms.piecewise_linear.PiecewiseLinearScale`; empty for one line.

    Raises:
        ConfigError: unless exactly one of the two is given; for a window whose low is not below its high; for an
            image whose number of channels is not that of the windows; for points that do not rise within one window.
    """

    def __init__(
        self,
        keys: KeysCollection,
        window: Sequence[float] | Sequence[Sequence[float]] | None = None,
        percentiles: Sequence[float] | None = None,
        clip: bool = True,
        allow_missing_keys: bool = True,
        points: Sequence[Point] = (),
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        given = [name for name, value in (("window", window), ("percentiles", percentiles)) if value]
        if len(given) != 1:
            both = " and ".join(given) or "neither window nor percentiles"
            raise ConfigError(f"the scale of {self.keys} has {both}", "set one of them, the other null")
        for low, high in np.atleast_2d(window or percentiles).tolist():  # type: ignore[arg-type]
            if low >= high:
                raise ConfigError(
                    f"the scale of {self.keys} has {[low, high]}, not low < high", "write the lower first"
                )
        if points and np.ndim(window or 0) != 1:
            fault = f"the scale of {self.keys} has points and no fixed window for all channels, but {window}"
            raise ConfigError(fault, "give [low, high], or no points")
        self.piecewise = PiecewiseLinearScale(window, points) if points else None  # type: ignore[arg-type]
        self.window = window
        self.percentiles = percentiles
        self.clip = clip

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the images."""
        scaled = dict(data)
        for key in self.key_iterator(scaled):
            plain = convert_to_tensor(scaled[key], track_meta=False)
            windows = self._windows(str(key), len(plain))
            is_own = isinstance(scaled[key], MetaTensor) and plain.dtype == torch.float32
            channels = plain if is_own else torch.empty(plain.shape, dtype=torch.float32, device=plain.device)
            for channel, made, window in zip(plain, channels, windows, strict=True):
                self._scale(channel, window, made)
            # without the dtype, an integer image would be truncated to -1, 0 and 1
            scaled[key] = convert_to_dst_type(channels, scaled[key], dtype=torch.float32)[0]
        return scaled

    def _windows(self, key: str, channels: int) -> Sequence[Any]:
        """The fixed window of each channel; None for each without a fixed window."""
        if self.window is None or np.ndim(self.window) == 1:
            return [self.window] * channels
        if len(self.window) != channels:
            fault = f"the scale of {key} has {len(self.window)} windows for {channels} channels"
            raise ConfigError(fault, "give one window, or one per channel")
        return self.window

    def _scale(self, channel: Tensor, window: Sequence[float] | None, made: Tensor) -> None:
        """Scale a channel (X, Y, Z) into ``made``, float32, which may be the channel itself."""
        if self.piecewise is not None:
            for_each_slab(partial(self.piecewise.scaled, clip=self.clip), channel, made)
            return
        if window is not None:
            low, high = window
        else:
            values = channel.numpy()
            lowest, highest = float(values.min()), float(values.max())
            foreground = values[values > lowest]
            # an image without contrast has no range: it becomes background instead of NaN, noise or huge values
            if highest - lowest <= LEAST_SPAN * max(-lowest, highest):
                made.fill_(-1.0)
                return
            low, high = np.percentile(foreground, self.percentiles, overwrite_input=True)  # type: ignore[arg-type]
            high = high if high > low else low + LEAST_SPAN * (highest - lowest)  # in parts: the unit may be any
        for_each_slab(partial(_between, low=float(low), width=float(high - low), clip=self.clip), channel, made)


def _between(values: Tensor, low: float, width: float, clip: bool) -> Tensor:
    result = (values - low) / width * 2 - 1
    return result.clamp(-1, 1) if clip else result


class ToUnitd(MapTransform):
    """Map [-1, 1] to a unit by its fixed window: the inverse of :class:`ScaleWindowd`.

    A float32 ``MetaTensor``, such as a prediction, is restored in its own memory.

    Args:
        keys: items to map, of any shape.
        window: ``[low, high]`` in that unit.
        allow_missing_keys: skip absent keys.
        points: those of the scale; empty for one line.
        air: HU of air, for a target that was clipped to its window. Values beyond the window, which a network without a
            bounded last layer may give, are clipped to it. A window that ends above air, but below all tissue, has cut
            all air to its end: its lowest 2.5 % then become the values from there down to air. None: neither.

    Raises:
        ConfigError: for a window whose low is not below its high, points that do not rise within it, or HU of no air.
    """

    def __init__(
        self,
        keys: KeysCollection,
        window: Sequence[float],
        allow_missing_keys: bool = False,
        points: Sequence[Point] = (),
        air: float | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.piecewise = PiecewiseLinearScale(window, points)
        if air is not None and air > TISSUE_ABOVE_HU:
            remedy = "pass -1000, or null to keep the window"
            raise ConfigError(f"air is {air:g} HU, above {TISSUE_ABOVE_HU:g}", remedy)
        self.clip = air is not None
        if air is not None and air < self.piecewise.low <= TISSUE_ABOVE_HU:
            self.piecewise = self.piecewise.down_to(air, LOWEST)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the unit."""
        restored = dict(data)
        for key in self.key_iterator(restored):
            volume = convert_to_tensor(restored[key], track_meta=False)
            is_own = isinstance(restored[key], MetaTensor) and volume.dtype == torch.float32
            made = for_each_slab(self._restored, volume, volume if is_own else torch.empty_like(volume))
            restored[key] = convert_to_dst_type(made, restored[key])[0]
        return restored

    def _restored(self, values: Tensor) -> Tensor:
        return self.piecewise.unscaled(values.clamp(-1, 1) if self.clip else values)


def for_each_slab(function: Callable[[Tensor], Tensor], values: Tensor, made: Tensor) -> Tensor:
    """Apply a function of single voxels part by part, so that its intermediate results stay small.

    Args:
        function: maps a tensor to one of the same shape, each element by itself.
        values: of any shape.
        made: of the same shape, receives the results; it may be ``values`` itself.

    Returns:
        ``made``.
    """
    if values.ndim < 2 or values.numel() <= SLAB_VOXELS:
        made.copy_(function(values))
    elif len(values) == 1 or values[0].numel() > SLAB_VOXELS:
        for part, result in zip(values, made, strict=True):
            for_each_slab(function, part, result)
    else:
        step = SLAB_VOXELS // values[0].numel()
        for part, result in zip(values.split(step), made.split(step), strict=True):
            result.copy_(function(part))
    return made
