"""Detection of labels exchanged between cases: mutual information should be largest with a case's own label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import Finding, Where
from ...grids import same_grid
from .misregistration import MINIMUM_SAMPLES, binned, is_gain, mutual_information
from .volumes import CheckedVolume

SAMPLES_PER_AXIS = 28
NEIGHBOURS = 100
"""Number of cases before and after one whose labels its image is compared with, so that time grows linearly."""


@dataclass(frozen=True)
class _Pair:
    where: Where
    shape: tuple[int, ...]
    affine: np.ndarray
    image: np.ndarray
    label: np.ndarray

    def is_comparable(self, other: _Pair) -> bool:
        return other is not self and same_grid(self.shape, self.affine, other.shape, other.affine)


class Exchanges:
    """Remembers a coarse grid of every pair, some 40 kB, and compares each image with the labels of other cases.

    Only cases of one grid are compared: otherwise an exchanged label has another grid than its image, which is another
    error.
    """

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []

    def add(self, image: CheckedVolume, label: CheckedVolume) -> None:
        """Remember a pair ``(X, Y, Z)`` on one grid, with the first channel of the image; small ones are skipped."""
        source = image.values[0] if image.values.ndim == 4 else image.values
        coarse = _coarse(source)
        if coarse.size >= MINIMUM_SAMPLES:
            self._pairs.append(_Pair(label.where, label.shape, label.affine, coarse, _coarse(label.values)))

    def findings(self) -> Iterator[Finding]:
        """A warning for each image that shares clearly more with the label of another case than with its own."""
        for place, pair in enumerate(self._pairs):
            near = self._pairs[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]
            others = [other for other in near if pair.is_comparable(other)]
            shared = [mutual_information(pair.image, other.label) for other in others]
            best, own = max(shared, default=0.0), mutual_information(pair.image, pair.label)
            if is_gain(own, best):
                suits = others[shared.index(best)].where("", "", "").case
                shares = f"mutual information {own:.3f}, and {best:.3f} with the label of {suits}"
                fault, remedy = "the label of another case fits better", "look at both cases: are the labels exchanged?"
                yield pair.where(fault, shares, remedy, "warning")


def _coarse(values: np.ndarray) -> np.ndarray:
    places = [np.linspace(0, n - 1, min(n, SAMPLES_PER_AXIS)).round().astype(int) for n in values.shape]
    return binned(values[np.ix_(*places)]).astype(np.int16)
