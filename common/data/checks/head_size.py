"""Size of volumes against that of the heads which weights were trained on: lengths in another unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...grids import ras_sides, show_sides
from ...io import Scan
from ...io.reader import CHECK_UNIT
from ...weights.info import known_profile

SMALLEST, LARGEST = 0.5, 3.0
"""Multiples of the heads of a training: a longest side below, or any side above, is in another unit than mm, or of a
mouse. A newborn's head has .6 of an adult's length, coils for a part of the head show 100 mm and more; a scan of the
head with the whole spine or trunk is 500 mm long and wide. A unit that is wrong is so by 10 or more."""


class HeadSize:
    """What volumes must measure for weights that know the extent of their training's heads; others take all.

    Args:
        weights: a file of weights, with the JSON file next to it.
    """

    def __init__(self, weights: Path) -> None:
        self.extent: Sequence[Sequence[float]] = known_profile(weights).get("extent_mm", [])

    def fault(self, shape: Sequence[int], affine: np.ndarray) -> str:
        """The sides of a volume (X, Y, Z) in mm that no head of the training has; empty where they fit."""
        if not self.extent:
            return ""
        sides = ras_sides(shape, affine)
        low, high = np.transpose(self.extent)
        if max(sides) >= SMALLEST * max(low) and (np.array(sides) <= LARGEST * high).all():
            return ""
        return f"{show_sides(sides)}, heads of the training {show_sides(low)} to {show_sides(high)}"

    def __call__(self, case: str, scan: Scan) -> None:
        """Refuse a case of another size.

        Raises:
            DataError: with its sides and those of the training.
        """
        if fault := self.fault(scan.values.shape[-3:], scan.affine):
            raise DataError(f"{case} measures {fault}", CHECK_UNIT)
