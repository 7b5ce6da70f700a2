"""The noise level of a CT, which the filters of :mod:`common.evaluation.filters` are tied to.

It is found in the soft tissue of the volume itself. An estimate by the finest wavelet, as
``estimate_sigma`` of scikit-image is one, hardly sees the correlated noise of a soft kernel: where 38 HU were inserted
into a real CT, that of Haar's rose from 17 to 20 HU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import minimum_filter, uniform_filter

from common.simulation.corruptions.projection import checked_ct
from common.units import AIR_BELOW_HU, BONE_ABOVE_HU

NEIGHBOURS = 5
"""Side in pixels of the squares whose standard deviation is taken."""
LEAST_NOISE_HU = 0.1
"""Squares with less have no noise: a scanner stores whole HU."""
BINS = 25
"""Bins of the histogram of these standard deviations."""


def noise_level(volume: ArrayLike) -> float:
    """Standard deviation of the noise of a CT in HU, over soft tissue in axial slices; 0 where it has none.

    The peak of the histogram of the standard deviations in squares of ``NEIGHBOURS`` pixels that lie in soft tissue
    (``AIR_BELOW_HU`` to ``BONE_ABOVE_HU``): most of them are even, those with vessels and edges make the tail. In
    images coarser than 3 mm it includes anatomy.

    Args:
        volume: CT in HU, (X, Y, Z).

    Raises:
        DataError: see :func:`~common.simulation.corruptions.projection.checked_ct`.

    Source: Christianson et al. 2015, AJR 205:W93.
    """
    hu = np.asarray(checked_ct(volume), dtype=np.float64)
    square = (NEIGHBOURS, NEIGHBOURS, 1)
    soft = minimum_filter(((hu > AIR_BELOW_HU) & (hu < BONE_ABOVE_HU)).astype(np.uint8), square, mode="constant") > 0
    if not soft.any():
        return 0.0
    mean, squares = (uniform_filter(each, square) for each in (hu, hu**2))
    deviations = np.sqrt(np.maximum(squares - mean**2, 0)[soft])
    noisy = deviations[deviations > LEAST_NOISE_HU]
    if 2 * noisy.size < deviations.size:
        return 0.0
    counts, edges = np.histogram(noisy, BINS, (0, np.percentile(noisy, 99)))
    peak = int(np.argmax(counts))
    return float(edges[peak : peak + 2].mean())
