"""Outline of the body in a scan of any modality, and air outside it in a synthetic CT."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_numpy
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from ..errors import ConfigError
from ..units import HU

COARSE_MM = 2.0
"""The outline is found on voxels of about this size: noise averages out, and it takes a second at most."""
PLANES_AT_ONCE = 16
"""Of cells, which a copy of their voxels is made for."""
BINS = 128
AIR_PART = 1 / 3
"""[measured] Where the threshold lies between the background and the lower of Otsu's two thresholds. On 16 simulated
heads of any contrast, with bias fields and noise, .05 % of the head, .4 % at most, was more than 3 mm outside the
outline; with half in place of a third, .05 % was still more than 5 mm outside."""
DARK = 0.25
"""[measured] A background brighter than this, from the darkest voxel (0) to the median of the rest (1), is no air: 23
real and simulated scans had at most .16, crops from the inside of real heads .35 to .66. Then all is body."""
CLOSED_MM = 5.0
"""Gaps of up to twice this width, such as ears, nostrils and cut sulci, belong to the body."""
LEAST_ML = 1.0
"""Smaller parts than this, in mL, are noise."""
CAVITY_HU = -500.0
"""Upper threshold of air cavities, half-way between air and soft tissue, so that skin at the edge of a mask is none."""
OUTLINE = "outline"
"""Key of what :meth:`AirOutsideBodyd.outlined` found."""
OUTSIDE = "tissue_outside"
"""Key of the share of voxels outside the body that the network gave tissue, in [0, 1]."""

Volume = NDArray[np.floating[Any]]


class AirOutsideBodyd(MapTransform):
    """Set a synthetic CT to air outside the body of its source, and note how much tissue the network gave there.

    A network learns nothing of what lies outside the head of its training data, and may give tissue and bone in noisy,
    padded or empty slices. The share of voxels outside that were above ``CAVITY_HU`` is put at the key
    ``tissue_outside``. A float32 volume is cleared in its own memory.

    Args:
        keys: synthetic CT (1, X, Y, Z) in HU with its affine, on any grid that the source covers.
        unit: of the output; any other than HU is left as it is, without a share.
        air: HU that the outside gets.
        margin_mm: distance from the outline up to which the network's output is kept.
        largest: the body is the largest connected part; false, for a CT as source, keeps every part of ``LEAST_ML``
            and more, such as a couch, a frame or arms, and outside of them the air as it is: only tissue is cleared.

    Raises:
        ConfigError: for a margin below 0.
    """

    def __init__(
        self,
        keys: KeysCollection,
        unit: str = HU,
        air: float = -1000.0,
        margin_mm: float = 3.0,
        largest: bool = True,
    ) -> None:
        super().__init__(keys)
        if margin_mm < 0:
            raise ConfigError(f"margin_mm is {margin_mm}, below 0", "pass a distance in mm, such as 3")
        self.unit, self.air, self.margin_mm, self.largest = unit, air, margin_mm, largest

    def outlined(self, source: Any) -> dict[str, Any]:
        """All that is needed of a source (C, X, Y, Z), coarse; put into an item it replaces the source's values."""
        if self.unit != HU:
            return {}
        scan, affine = convert_to_numpy(source[0]), _affine(source)
        return {OUTLINE: distance_from_body(scan, affine, self.margin_mm, self.largest)}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Clear the outside."""
        cleared = dict(data)
        if self.unit != HU:
            return cleared
        distance, affine = cleared.pop(OUTLINE, None) or self.outlined(cleared["image"])[OUTLINE]
        for key in self.key_iterator(cleared):
            values = np.asarray(convert_to_numpy(cleared[key]), dtype=np.float32)
            cleared[OUTSIDE] = self._clear(values[0], distance, np.linalg.inv(affine) @ _affine(cleared[key]))
            cleared[key] = convert_to_dst_type(torch.from_numpy(values), cleared[key])[0]
        return cleared

    def _clear(self, values: Volume, distance: Volume, to_coarse: Volume) -> float:
        """Clear a volume (X, Y, Z) in place, plane by plane; the share of the outside that was tissue."""
        outside = tissue = 0
        matrix = to_coarse[:3, :3]
        if np.allclose(matrix, np.diag(scales := np.diag(matrix)), atol=1e-6):
            matrix = scales  # which SciPy applies along each axis, in two thirds of the time
        for number, plane in enumerate(values):
            offset = to_coarse[:3, 0] * number + to_coarse[:3, 3]
            shape = (1, *plane.shape)
            away = ndimage.affine_transform(distance, matrix, offset, shape, order=1, mode="nearest")[0]
            beyond = away > self.margin_mm + 1e-3  # headers round sizes
            false = beyond & (plane > CAVITY_HU)
            outside += int(beyond.sum())
            tissue += int(false.sum())
            plane[beyond if self.largest else false] = self.air
        return tissue / outside if outside else 0.0


def distance_from_body(volume: Volume, affine: Volume, most: float, largest: bool = True) -> tuple[Volume, Volume]:
    """Distance of coarse voxels from the body, 0 inside, in mm, float32 (X', Y', Z'), and their affine (4, 4).

    Args:
        volume: (X, Y, Z) of any modality and scale, in which air is dark.
        affine: (4, 4) of its voxels to mm.
        most: distance in mm; places that far away can be told from farther ones by linear interpolation.
        largest: see :class:`AirOutsideBodyd`.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    smooth, steps = coarse_and_smooth(volume, spacing)
    threshold = air_threshold(smooth)
    body = np.ones(smooth.shape, bool) if threshold is None else outline(smooth > threshold, spacing * steps, largest)
    to_scan = affine @ np.diag([*steps, 1.0])
    to_scan[:3, 3] += affine[:3, :3] @ ((steps - 1) / 2)
    enough = most + float(np.linalg.norm(spacing * steps)) + 0.01
    return np.minimum(distance_from(body, spacing * steps, enough), enough), to_scan


def coarse_and_smooth(volume: Volume, spacing: Volume) -> tuple[Volume, NDArray[np.int_]]:
    """Means of cells of about ``COARSE_MM``, smoothed over as much, (X', Y', Z'), and the voxels of a cell."""
    steps = np.maximum(1, np.round(COARSE_MM / spacing - 1e-4)).astype(int)  # headers round sizes; no tie is left
    steps = np.minimum(steps, volume.shape)  # pooling refuses a cell that is thicker than the volume, such as a slice
    cell, at_once = tuple(steps.tolist()), int(steps[0]) * PLANES_AT_ONCE
    ends = [0, *range(at_once, len(volume) - cell[0], at_once), len(volume)]  # a last one of less than a cell fails
    slabs = (np.array(volume[start:end], np.float32, order="C") for start, end in itertools.pairwise(ends))
    pooled = [functional.avg_pool3d(torch.from_numpy(slab)[None, None], cell, ceil_mode=True)[0, 0] for slab in slabs]
    coarse = torch.cat(pooled).numpy()
    return ndimage.gaussian_filter(coarse, COARSE_MM / (spacing * steps), mode="nearest"), steps


def air_threshold(smooth: Volume) -> float | None:
    """Value (of :func:`coarse_and_smooth`) above which there is no air; None where there is none."""
    clipped = np.minimum(smooth, np.percentile(smooth, 99.5))  # vessels and metal would have a class of their own
    if np.unique(clipped).size < 3:
        return float(smooth.min())
    lowest = lower_otsu_threshold(clipped)
    below = smooth < lowest
    darkest, air, rest = smooth.min(), np.median(smooth[below]), np.median(smooth[~below])
    return None if air - darkest > DARK * (rest - darkest) else float(air + AIR_PART * (lowest - air))


def outline(above: NDArray[np.bool_], sides: Volume, largest: bool = True) -> NDArray[np.bool_]:
    """What is above the threshold, with cavities that are narrow or closed in a plane; all where nothing is left.

    Args:
        above: (X, Y, Z).
        sides: of its voxels, in mm.
        largest: see :class:`AirOutsideBodyd`.
    """
    parts, count = ndimage.label(above)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    least = sizes.max() if largest else LEAST_ML * 1000 / np.prod(sides)
    body: NDArray[np.bool_] = (sizes >= least)[parts] & (parts > 0)
    for axis in range(3):
        body = filled(body, axis)
    if body.all() or not body.any():
        return np.ones_like(body)
    air = distance_from(body, sides, CLOSED_MM) > CLOSED_MM
    return distance_from(air, sides, CLOSED_MM) > CLOSED_MM if air.any() else np.ones_like(body)


def filled(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """A mask with what it encloses in each plane normal to an axis, as ``binary_fill_holes`` fills one plane."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    np.moveaxis(in_plane, axis, 0)[[0, 2]] = False
    parts, count = ndimage.label(~mask, in_plane)
    is_open = np.zeros(count + 1, bool)
    for other in {0, 1, 2} - {axis}:
        is_open[np.moveaxis(parts, other, 0)[[0, -1]]] = True
    is_open[0] = False
    inside: NDArray[np.bool_] = ~is_open[parts]
    return inside


def distance_from(mask: NDArray[np.bool_], sides: Volume, most: float) -> Volume:
    """Distance of each voxel (X, Y, Z) from a mask in mm, float32: 0 inside, exact up to ``most``, larger beyond.

    A whole transform takes six times as long as these few shifts along each axis.
    """
    squares = np.where(mask, np.float32(0), np.float32(np.inf))
    for axis, side in enumerate(map(float, sides)):
        lines = np.moveaxis(squares, axis, 0)
        nearest = lines.copy()
        for cells in range(1, min(int(most / side) + 1, len(lines) - 1) + 1):
            further = (cells * side) ** 2
            np.minimum(nearest[cells:], lines[:-cells] + further, out=nearest[cells:])
            np.minimum(nearest[:-cells], lines[cells:] + further, out=nearest[:-cells])
        lines[:] = nearest
    distance: Volume = np.sqrt(squares, out=squares)
    return distance


def lower_otsu_threshold(values: Volume) -> float:
    """The lower of the two thresholds that separate three classes best (Otsu 1979, section IV).

    The one of scikit-image's ``threshold_multiotsu``, which inference would need for these lines alone.

    Args:
        values: of at least three different sizes.

    Returns:
        The centre of a bin of a histogram of ``BINS``; values up to it are of the first class.
    """
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    share, moment = np.cumsum(counts) / values.size, np.cumsum(counts * centres) / values.size
    of_first, of_both = np.meshgrid(share[:-1], share[:-1], indexing="ij")
    m_first, m_both = np.meshgrid(moment[:-1], moment[:-1], indexing="ij")
    weights = np.stack([of_first, of_both - of_first, 1 - of_both])
    moments = np.stack([m_first, m_both - m_first, moment[-1] - m_both])
    is_split = (weights > 0).all(0)
    between = np.where(is_split, (moments**2 / np.where(weights > 0, weights, 1)).sum(0), 0)
    return float(centres[np.unravel_index(np.argmax(between), between.shape)[0]])


def _affine(volume: Any) -> Volume:
    first: Volume = np.asarray(convert_to_numpy(volume.affine), dtype=float).reshape(-1, 4, 4)[0]
    return first
