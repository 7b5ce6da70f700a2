"""Padding of a CT outside the circle of the scanner, which becomes air before anything interpolates."""

from __future__ import annotations

import logging

import numpy as np
from scipy import ndimage

from ..errors import Where
from ..units import HU_OF_AIR
from .modality import IN_HU, STEP, modality_of

logger = logging.getLogger(__name__)
PADDING_HU = -1100.0
"""Padding lies below: that of scanners is -1500, -2000, -2048 or -3024; air with its noise lies above."""
ONE_VALUE, LEAST_SHARE = 1.0, 0.5
"""Padding is one value, to so many HU, in such a share of its voxels; the noise of air is not."""


def padding_to_air(values: np.ndarray, where: Where, is_ct: bool | None = None) -> None:
    """Set the padding of a CT to ``HU_OF_AIR`` in place, with a log line; other volumes stay.

    Padding is what lies below ``PADDING_HU``, is connected to the border of the volume, and has one value in most of
    its voxels: interpolated with tissue it would pull that down by thousands of HU.

    Args:
        values: (X, Y, Z) in HU, or (C, X, Y, Z).
        where: for the log line.
        is_ct: whether it is a CT; None where its values without the padding decide.
    """
    if is_ct is False or values.min() >= PADDING_HU:
        return
    for channel in values.reshape(-1, *values.shape[-3:]):  # views
        padding = _padding(channel)
        if padding.any() and (is_ct or _is_ct(channel, padding)):
            share = f"{np.count_nonzero(padding)} of {channel.size}"
            logger.info("%s", where(f"voxels of padding below {PADDING_HU:g} HU", share, f"read as {HU_OF_AIR:g}"))
            channel[padding] = HU_OF_AIR


def _padding(values: np.ndarray) -> np.ndarray:
    """Which voxels (X, Y, Z) are padding, if it is a CT."""
    low = values < PADDING_HU
    border = np.zeros_like(low)
    for axis in range(3):
        np.moveaxis(border, axis, 0)[[0, -1]] = np.moveaxis(low, axis, 0)[[0, -1]]
    outside: np.ndarray = ndimage.binary_propagation(border, mask=low)
    lowest = values[outside]
    if lowest.size and np.mean(np.abs(lowest - np.median(lowest)) <= ONE_VALUE) < LEAST_SHARE:
        outside[:] = False
    return outside


def _is_ct(values: np.ndarray, padding: np.ndarray) -> bool:
    """Whether a volume is a CT by what is no padding; an MR whose background has such a value is none."""
    some = (slice(None, None, STEP),) * 3
    rest = values[some][~padding[some]]
    return bool(rest.size) and modality_of(rest[:, None, None]) == IN_HU
