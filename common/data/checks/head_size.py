"""Size of volumes against that of heads, for weights of heads: lengths in another unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...grids import ras_sides, show_sides
from ...io import Scan
from ...io.reader import CHECK_UNIT
from ...weights.info import known_contrasts

SMALLEST_MM, LARGEST_MM = 80.0, 600.0
"""A longest side below, or any side above, is in another unit than mm, or of a mouse: a newborn's head is 120 mm long,
coils for a part of the head show 100 mm and more; a scan of the head with the whole spine or trunk is 500 mm long and
wide. A unit that is wrong is so by 10 or more."""


class HeadSize:
    """What volumes must measure for weights of MR of the head, which know its contrasts; others take all.

    Args:
        weights: a file of weights, with the JSON file next to it.
    """

    def __init__(self, weights: Path) -> None:
        self.is_of_heads = bool(known_contrasts(weights))

    def fault(self, shape: Sequence[int], affine: np.ndarray) -> str:
        """The sides of a volume (X, Y, Z) in mm that no scan of a head has; empty where they fit."""
        sides = ras_sides(shape, affine)
        if not self.is_of_heads or SMALLEST_MM <= max(sides) <= LARGEST_MM:
            return ""
        return f"{show_sides(sides)}, a scan of a head {SMALLEST_MM:g} to {LARGEST_MM:g} mm"

    def __call__(self, case: str, scan: Scan) -> None:
        """Refuse a case of another size.

        Raises:
            DataError: with its sides and those of a head.
        """
        if fault := self.fault(scan.values.shape[-3:], scan.affine):
            raise DataError(f"{case} measures {fault}", CHECK_UNIT)
