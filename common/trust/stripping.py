"""Skull stripping of an MR of the head, seen by what a whole head has around the brain: dark skull, fat, scalp.

The bounds were set on the scans of ``open_ms`` (stripped), the templates of SPM (whole) and simulated heads. Of other
simulated heads 50 of 56 stripped ones were seen as such, and none of 56 whole ones.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .contrast import HeadPlaces

SHELL_MM = 4.0
"""Thickness of the shells that are compared: a skull with the fluid below it is thicker."""

SKULL_MM = (8.0, 10.0, 12.0, 14.0, 16.0)
"""Depth below the surface at which the shells begin that hold the skull of a whole head."""

SCALP_MM = (2.0, 4.0, 6.0, 8.0)
"""The same of scalp."""

BRAIN_MM = (20.0, 22.0, 24.0)
"""The same of brain, in a whole head too."""

AROUND_MM, FAR_MM = (4.0, 20.0), 30.0
"""Distance from the surface of a brain at which scalp may lie that is too dark to be part of it, and of air alone."""

BELOW_MM = 20.0
"""Only what lies above this distance below the deepest point is looked at: face and neck have no such shells."""

DARK = 0.75
"""Lowest quarter in the skull's shells over that of brain: to 0.71 in whole heads, from 0.83 in stripped scans."""

BRIGHT = 1.5
"""Median in the scalp's shells over that of brain, above which it is fat: up to 1.37 when stripped."""

FEWEST = 200
"""Least number of voxels of a shell that is measured."""


def looks_stripped(head: HeadPlaces) -> bool:
    """Whether a scan shows neither skull nor fat below the surface of the head, nor scalp around it."""
    pixels, size, away, depth = head
    outside = ndimage.distance_transform_edt(depth == 0, sampling=size)
    above = np.broadcast_to(away[2] > -BELOW_MM, depth.shape)
    values, depth, outside = pixels[above], depth[above], outside[above]

    def shells(starts: tuple[float, ...], percentile: float) -> np.ndarray:
        inside = [values[(depth > start) & (depth <= start + SHELL_MM)] for start in starts]
        return np.array([np.percentile(each, percentile) if len(each) > FEWEST else np.nan for each in inside])

    dark = shells(SKULL_MM, 25).min() / shells(BRAIN_MM, 25).max()
    bright = shells(SCALP_MM, 50).max() / shells(BRAIN_MM, 50).max()
    around, far = values[(outside > AROUND_MM[0]) & (outside <= AROUND_MM[1])], values[outside > FAR_MM]
    scalp = around.size and np.percentile(around, 75) > (np.percentile(far, 95) if far.size else 0)
    return bool(dark > DARK and bright < BRIGHT and not scalp)
