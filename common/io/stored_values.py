"""Conversion to the stored type: finite values, rounded and clipped to an integer type with a log line."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError, OutputError, choose

logger = logging.getLogger(__name__)
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
"""Stored types that every format of files has."""
LEAST_STEPS = 10
"""Fewer steps lose the image: of SUV or z-scores an integer type would keep 0, 1 and 2."""
AT_ONCE = 2**22
"""Values converted at once; rounding takes 24 bytes for each."""


def require_dtype(name: str) -> None:
    """Refuse a stored type that is not in ``DTYPES``.

    Raises:
        ConfigError: for another type.
    """
    if name not in DTYPES:
        raise ConfigError(f"--output_dtype is {name!r}", choose(DTYPES))


def require_finite(values: np.ndarray, case: str) -> None:
    """Refuse NaN and infinity, which integer types cannot store.

    Raises:
        OutputError: for a value that is not finite.
    """
    if count := sum(int(np.count_nonzero(~np.isfinite(part))) for part in _parts(values)):
        fault = f"{case}: the synthetic volume has {count} voxels of NaN or infinity"
        raise OutputError(fault, "check input and weights")


def to_stored(values: np.ndarray, dtype: str, case: str) -> np.ndarray:
    """Convert values to the stored type: rounded and clipped for integers, with a log line if any value was clipped.

    Raises:
        OutputError: for a value that is not finite, or values that an integer type would round to a few steps.
    """
    require_finite(values, case)
    if not np.issubdtype(np.dtype(dtype), np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    span = float(values.max()) - float(values.min())
    if 0 < span < LEAST_STEPS and any((part != np.rint(part)).any() for part in _parts(values)):
        extent = f"{values.min():g} to {values.max():g}, less than {LEAST_STEPS} steps of {dtype}"
        raise OutputError(f"{case}: the synthetic volume spans {extent}", "pass --output_dtype float32")
    stored, outside = np.empty(values.shape, dtype), 0
    for part, place in zip(_parts(values), _parts(stored), strict=True):
        rounded = np.rint(part.astype(np.float64))  # float32 would round the limits of int32 beyond them
        outside += int(((rounded < limits.min) | (rounded > limits.max)).sum())
        place[:] = np.clip(rounded, limits.min, limits.max).astype(dtype)
    if outside:
        logger.warning(f"{case}: {outside} voxels clipped to {dtype}, [{limits.min}, {limits.max}]")
    return stored


def _parts(values: np.ndarray) -> Sequence[np.ndarray]:
    """Parts of a volume along its first axis, views of at most about ``AT_ONCE`` values."""
    return np.array_split(values, max(1, min(len(values), math.ceil(values.size / AT_ONCE))))
