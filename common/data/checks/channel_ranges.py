"""Checks of channels against their intensity windows: magnitude and order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...errors import Finding
from .volumes import CheckedVolume

NARROW, WIDE = 0.2, 5.0
"""A span of a channel below or above these multiples of its window is reported."""
DISORDER = 0.5
"""Minimum decrease of the summed squared log ratios in another order: channels are reported as swapped if their values
and their windows both differ by a factor of 1.65 or more, since 2 log(1.65)^2 = 0.5.
"""


@dataclass(frozen=True)
class ChannelRange:
    """One channel of an image: its volume, its number from 1 (None in an image of one channel), and its 0.5 and 99.5
    percentile.
    """

    volume: CheckedVolume
    number: int | None
    low: float
    high: float

    @property
    def shown(self) -> str:
        """The range for messages, with the number of the channel."""
        values = f"{self.low:g} to {self.high:g}, percentiles 0.5 and 99.5"
        return values if self.number is None else f"{values}, in channel {self.number}"


def channel_ranges(images: Sequence[CheckedVolume]) -> list[ChannelRange]:
    """The ranges of all channels of volumes (X, Y, Z) or (C, X, Y, Z), in their order."""
    channels = [(volume, values) for volume in images for values in volume.values.reshape(-1, *volume.shape)]
    numbers = range(1, len(channels) + 1) if len(channels) > 1 else [None]
    ranges = [[float(p) for p in np.percentile(values, (0.5, 99.5))] for _, values in channels]
    return [
        ChannelRange(volume, number, low, high)
        for (volume, _), number, (low, high) in zip(channels, numbers, ranges, strict=True)
    ]


def plausible_range(channel: ChannelRange, window: Sequence[float], option: str) -> Iterator[Finding]:
    """The values of a channel must be of the magnitude of its window, the value of ``option``."""
    span, width = channel.high - channel.low, window[1] - window[0]
    apart = channel.high < window[0] or channel.low > window[1]
    if apart or not NARROW * width <= span <= WIDE * width:
        fault = f"values differ in magnitude from the window [{window[0]:g}, {window[1]:g}]"
        remedy = f"give another window ({option}), or use percentiles or z-scores"
        yield channel.volume.where(fault, channel.shown, remedy, "warning")


def in_order(channels: Sequence[ChannelRange], windows: np.ndarray) -> Iterator[Finding]:
    """No other order of the channels may fit the windows clearly better.

    The misfit of a channel with 99.5 percentile p and a window [low, high] is log((p - low) / (high - low))^2; the best
    order is the assignment with the smallest sum. Channels with similar values or windows, such as RD and AD, cannot be
    distinguished.

    Args:
        channels: of one image.
        windows: (C, 2), low and high end for each channel.
    """
    highs = np.array([channel.high for channel in channels])
    reach = (highs[:, None] - windows[:, 0]) / (windows[:, 1] - windows[:, 0])
    misfit = np.log(np.maximum(reach, 1e-6)) ** 2
    order = linear_sum_assignment(misfit)[1]
    reordered = misfit[np.arange(len(order)), order]
    # a channel that fits no window in the best order either has another unit, not another position
    if np.trace(misfit) - reordered.sum() <= DISORDER or reordered.max() > np.log(WIDE) ** 2:
        return
    for channel, own, other in zip(channels, windows, windows[order], strict=True):
        if not np.array_equal(own, other):
            fault = f"the channel does not fit its window [{own[0]:g}, {own[1]:g}]"
            better = f"{channel.shown}, fits [{other[0]:g}, {other[1]:g}] better"
            yield channel.volume.where(fault, better, "list the channels in the order of the windows, or correct these")
