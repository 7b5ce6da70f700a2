"""Detection of targets whose foreground is cut by the window of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...errors import Finding, Where
from ...grids import ras_shape
from ...io.nifti.reading import is_constant
from ...transforms.head import head_mask
from ...units import TISSUE_ABOVE_HU
from .volumes import CheckedVolume, is_of_ct, on_one_grid

MOST_CUT = 0.01
"""Largest share of the foreground beyond the window that is not reported."""
SAMPLES_PER_AXIS = 96
"""Approximate number of voxels per axis after subsampling, which changed shares of five scans by up to 0.2 points."""
DIGITS = 3
"""Significant digits of a recommended window."""


class _Cut(NamedTuple):
    where: Where
    share: float
    percentiles: tuple[float, float]


class Clipping:
    """Collects what the window of the targets, low and high in their unit, cuts from the foreground of each case.

    The foreground is the case's mask, or its head without one. Of a CT it excludes air, in sinuses and lungs too, to
    which an export restores what lies below the window.
    """

    def __init__(self, window: Sequence[float]) -> None:
        self.window = float(window[0]), float(window[1])
        self._cut: list[_Cut] = []
        self._cases = 0

    def add(self, label: CheckedVolume, mask: CheckedVolume | None) -> None:
        """Measure a target ``(X, Y, Z)``; a mask on another grid is not used."""
        self._cases += 1
        foreground = self._foreground(label, mask)
        if foreground.size == 0:
            return
        low, high = self.window
        share = float(((foreground < low) | (foreground > high)).mean())
        if share > MOST_CUT:
            lowest, highest = np.percentile(foreground, (50 * MOST_CUT, 100 - 50 * MOST_CUT))
            self._cut.append(_Cut(label.where, share, (float(lowest), float(highest))))

    def _foreground(self, label: CheckedVolume, mask: CheckedVolume | None) -> np.ndarray:
        step = tuple(slice(None, None, -(-n // SAMPLES_PER_AXIS)) for n in label.shape)
        values: np.ndarray = label.values[step]
        if mask is not None and on_one_grid(label, mask):
            inside = mask.values[step] > 0
        elif is_constant(values):  # what varies lies between the samples
            return values[:0]
        else:
            axial = ras_shape((0, 1, 2), label.affine)[2]
            inside = head_mask(values, None, axial, label.where("", "", "").case)
        return values[inside & (values > TISSUE_ABOVE_HU) if is_of_ct(self.window) else inside]

    def findings(self) -> Iterator[Finding]:
        """A warning about the case that is cut most, with a window that would hold all cases."""
        if not self._cut:
            return
        low, high = self.window
        worst = max(self._cut, key=lambda each: each.share)
        share, limit = (f"{_rounded(100 * each, 2):g}%" for each in (worst.share, MOST_CUT))
        fault = f"--target_window [{low:g}, {high:g}] cuts over {limit} of the foreground"
        shares = f"{share} here, over {limit} in {len(self._cut)} of {self._cases} cases"
        wider = [
            min(low, *(_rounded(each.percentiles[0]) for each in self._cut)),
            max(high, *(_rounded(each.percentiles[1]) for each in self._cut)),
        ]
        yield worst.where(fault, shares, f"widen it to [{wider[0]:g}, {wider[1]:g}]", "warning")


def _rounded(value: float, digits: int = DIGITS) -> float:
    return float(f"{value:.{digits}g}")
