"""Sizes of tensors that metadata allow: "256*n" is 256, 512, ...; "2**p*n" is 2, 4, ...; "*" is any."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monai.bundle.scripts import _get_fake_spatial_shape

ANY_SIDE = 32
"""Pixels or voxels a side where any number will do."""
_TERM = r"(\d{1,4}( ?\*\* ?p)?|n|p)"
SIDE = re.compile(rf"\*|{_TERM}( ?(\*|\+|-|//) ?{_TERM})*")
"""Arithmetic of integers, ``n`` and ``p``: nothing else of a bundle is evaluated."""


class ShapeTextError(ValueError):
    """A side that is neither a positive integer nor an expression of ``n`` and ``p``."""


def sizes(spatial_shape: Sequence[str | int], n: int = 1, p: int = 1) -> list[int]:
    """Sides for a choice of ``n`` and ``p``, the same in all expressions; ShapeTextError names a wrong side."""
    found: list[int] = []
    for side in spatial_shape:
        sound = SIDE.fullmatch(str(side).strip())
        found += _get_fake_spatial_shape([side], p=p, n=n, any=ANY_SIDE) if sound else [0]
        if found[-1] < 1:
            raise ShapeTextError(f"{side!r}")
    return found


def choices(spatial_shape: Sequence[str | int]) -> list[dict[str, int]]:
    """Values of ``n`` and ``p`` to try: the smallest, then each variable that occurs raised by one."""
    smallest = sizes(spatial_shape)
    return [{"n": n, "p": p} for n, p in ((1, 1), (2, 1), (1, 2)) if n == p or sizes(spatial_shape, n, p) != smallest]
