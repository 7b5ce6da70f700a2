"""Conversion to the stored type: finite values, rounded and clipped to an integer type with a log line."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError, OutputError

logger = logging.getLogger(__name__)
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
"""Stored types that every format of files has."""
LEAST_STEPS = 10
"""Fewer steps are no image: of SUV or z-scores an integer type would keep 0, 1 and 2."""
AT_ONCE = 2**22
"""Values converted at once; rounding takes 24 bytes for each."""


def require_dtype(name: str) -> None:
    """Refuse a stored type that is none of ``DTYPES``.

    Raises:
        ConfigError: it is none.
    """
    if name not in DTYPES:
        raise ConfigError("--output_dtype", f"is one of {', '.join(DTYPES)}", repr(name), "choose one of them")


def require_finite(values: np.ndarray, case: str) -> None:
    """Refuse NaN and infinity, which integer types cannot store.

    Raises:
        OutputError: for a value that is not finite.
    """
    if count := sum(int(np.count_nonzero(~np.isfinite(part))) for part in _parts(values)):
        raise OutputError(
            f"{case}: synthetic volume", "is finite", f"{count} voxels of NaN or infinity", "check input and weights"
        )


def to_stored(values: np.ndarray, dtype: str, case: str) -> np.ndarray:
    """Convert values to the stored type: rounded and clipped for integers, with a log line if any value was clipped.

    Raises:
        OutputError: for a value that is not finite, or values of which an integer type would keep a few steps.
    """
    require_finite(values, case)
    if not np.issubdtype(np.dtype(dtype), np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    span = float(values.max()) - float(values.min())
    if 0 < span < LEAST_STEPS and any((part != np.rint(part)).any() for part in _parts(values)):
        rule, found = f"spans {LEAST_STEPS} or more to be stored as {dtype}", f"{values.min():g} to {values.max():g}"
        raise OutputError(f"{case}: synthetic volume", rule, found, "give --output_dtype float32")
    stored, outside = np.empty(values.shape, dtype), 0
    for part, made in zip(_parts(values), _parts(stored), strict=True):
        rounded = np.rint(part.astype(np.float64))  # float32 would round the limits of int32 beyond them
        outside += int(((rounded < limits.min) | (rounded > limits.max)).sum())
        made[:] = np.clip(rounded, limits.min, limits.max).astype(dtype)
    if outside:
        logger.warning(f"{case}: {outside} voxels clipped to {dtype}, [{limits.min}, {limits.max}]")
    return stored


def _parts(values: np.ndarray) -> Sequence[np.ndarray]:
    """Parts of a volume along its first axis, views of at most about ``AT_ONCE`` values."""
    return np.array_split(values, max(1, min(len(values), math.ceil(values.size / AT_ONCE))))
