"""What the readers of files share: the checks of a file before it is opened, and of values that become float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import VolumeError, Where
from ..files import GET_CONTENT, NOT_HERE, POINTERS, is_broken_link

NOT_FINITE = "voxels are not finite"
FILL = "repair the file; training and inference take --nan_fill 0"


def first_bytes(path: Path, count: int, where: Where) -> bytes:
    """The first ``count`` bytes of a file, or all of a shorter one.

    Raises:
        VolumeError: there is no such file, its content was not fetched, it is no regular file, or cannot be read.
    """
    if is_broken_link(path):
        raise VolumeError(where(NOT_HERE, "", GET_CONTENT))
    if not path.exists():
        raise VolumeError(where("no such file", str(path), "correct the path"))
    if not path.is_file():  # opening a pipe would wait for ever
        raise VolumeError(where("a pipe, socket or device, not a file", "", "copy the file itself"))
    try:
        with path.open("rb") as file:
            start = file.read(count)
    except OSError as error:
        raise VolumeError(where("cannot read the file", reason_of(error), "check its permissions")) from error
    if start.startswith(POINTERS):
        raise VolumeError(where(NOT_HERE, "", GET_CONTENT))
    return start


def reason_of(error: BaseException) -> str:
    """An error of a library for messages: its type and its text."""
    return f"{type(error).__name__}: {error}"


def as_float32(values: np.ndarray, nan_fill: float | None, where: Where, remedy: str = FILL) -> np.ndarray:
    """A copy of real values as float32, in C order.

    Args:
        values: of any shape.
        nan_fill: replaces NaN and infinity, which are errors otherwise.
        where: for messages.
        remedy: against NaN and infinity.

    Raises:
        VolumeError: for NaN or infinity without ``nan_fill``, or finite values that float32 does not hold.
    """
    finite = np.isfinite(values)
    if nan_fill is None and not finite.all():
        share = f"{np.count_nonzero(~finite)} NaN or Inf of {values.size} voxels"
        raise VolumeError(where(NOT_FINITE, share, remedy))
    with np.errstate(over="ignore"):  # refused below
        copied = np.array(values, np.float32, order="C")
    if nan_fill is not None:
        copied[~finite] = nan_fill
    if not np.isfinite(copied).all():
        raise VolumeError(where("values do not fit float32", f"{np.abs(values[finite]).max():.3g}", "rescale them"))
    return copied
