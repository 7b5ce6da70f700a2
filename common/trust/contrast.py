"""Contrast of an MR of the head (T1, PD, T2 or FLAIR) by the values of fluid, grey and white matter deep in it.

White matter is the largest even tissue next to the mid-plane. Its level, a polynomial of the place, removes the receive
field; what else lies deep in the head is brighter or darker than it: grey matter and fluid darker in T1, both brighter
in T2, less so in PD, grey matter brighter and fluid darker in FLAIR. Quantiles of these values are classified by a
multinomial logistic regression, fitted by ``tools/recogniser`` to simulated heads whose grey scale was stretched,
clipped, bent and cut to 8 bits, in slices of up to 7 mm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Values = NDArray[np.float32]

ORDERS = {
    "T1": "white matter brighter than grey, grey brighter than fluid",
    "PD": "fluid and grey matter little brighter than white matter",
    "T2": "fluid brighter than grey, grey brighter than white matter",
    "FLAIR": "fluid darkest, grey matter no darker than white",
}
"""What each weighting looks like."""

PIXEL_MM = 2.0
"""Voxels are averaged up to this size: fine enough for cortex, and noise falls."""

DEPTH_PIXEL_MM = 4.0
"""Size of the voxels in which depth is measured."""

CLOSED_MM = 8.0
"""Clefts of up to twice this width belong to the head: skull-stripped sulci, dark bone."""

INSCRIBED_MM = (20.0, 95.0)
"""Radius of the largest ball inside a head or a brain.

Real ones have 41 to 84 mm, stripped ones of label maps 23 and more.
"""

DEPTH = 0.35
"""Smallest depth, relative to the deepest point, of the part that is looked at; scalp and skull are less deep."""

BALL_MM, BELOW_MM = 60.0, 5.0
"""That part ends so far from the deepest point, and so far below it, above the skull base."""

BESIDE_MM = 12.0
"""Distance from the deepest point, to the left or right, at which there are no ventricles."""

EVEN = 0.35
"""Share of the voxels, those with the smallest gradients, among which white matter is looked for."""

FEWEST = 500
"""Least number of voxels for a weighting."""

PERCENTILES = (2, 5, 25, 50, 75, 90, 95, 98)
FLAT = 1.06
"""Largest ratio of the 98th to the 5th percentile in a CT, whose tissues differ by 2% of their distance to air."""

DARKEST = 0.01
"""Values over white matter below this are air."""

FILE = Path(__file__).parent / "weights" / "contrast.json"
"""Coefficients of the regression (contrasts, features) and its intercepts, by contrast."""


class HeadPlaces(NamedTuple):
    """A head, coarse: values above air, voxel sizes in mm, distance from the deepest point along each axis, depth."""

    pixels: Values
    size: np.ndarray
    away: list[np.ndarray]
    depth: np.ndarray


class Seen(NamedTuple):
    """What a scan looks like.

    Attributes:
        shares: probability of each contrast, keys of ``ORDERS``; empty where none is recognised.
        field: largest over smallest sensitivity of the receive field deep in the head; 1 where it is not known.
        reason: why no contrast is recognised; empty where one is.
    """

    shares: Mapping[str, float]
    field: float
    reason: str

    @property
    def likeliest(self) -> str:
        """The contrast with the largest probability."""
        return max(self.shares, key=self.shares.__getitem__)


def head_places(image: np.ndarray, spacing: np.ndarray) -> HeadPlaces:
    """Where the voxels of a head lie in it.

    Args:
        image: (X, Y, Z) oriented RAS, any scale, with or without skull.
        spacing: of its voxels along the axes, in mm.
    """
    pixels, size = blocks(image, np.asarray(spacing, float), PIXEL_MM)
    pixels = pixels - np.percentile(pixels, 1)
    return HeadPlaces(pixels, size, *places(pixels, size))


def contrast_seen(head: HeadPlaces) -> Seen:
    """Contrast of an MR of the head, see :func:`head_places`."""
    if isinstance(found := _over_white(head), str):
        return Seen({}, 1.0, found)
    relative, level = found
    quantiles = np.percentile(relative, PERCENTILES)
    if quantiles[-1] < FLAT * quantiles[1]:
        return Seen({}, 1.0, "fluid, grey and white matter are equally bright")
    low, high = np.percentile(level, (2, 98))
    return Seen(contrast_shares(quantiles), float(np.exp(high - low)), "")


def contrast_quantiles(head: HeadPlaces) -> np.ndarray | None:
    """Quantiles at ``PERCENTILES`` of the values over white matter deep in a head; None where there is no such part."""
    values = _over_white(head)
    return None if isinstance(values, str) else np.percentile(values[0], PERCENTILES)


def _over_white(head: HeadPlaces) -> tuple[Values, np.ndarray] | str:
    """Values over white matter deep in a head and the logarithm of its level, (N,), or why there are none."""
    radius = float(head.depth.max())
    if not INSCRIBED_MM[0] <= radius <= INSCRIBED_MM[1]:
        low, high = INSCRIBED_MM
        return f"no head: the largest ball in it has a radius of {radius:.0f} mm, in heads {low:g} to {high:g}"
    inner = (head.depth >= DEPTH * radius) & (head.away[2] > -BELOW_MM)
    inner &= sum(axis**2 for axis in head.away) < BALL_MM**2
    if np.count_nonzero(inner) < FEWEST:
        return "there are too few voxels deep in a head"
    return relative_to_white(head.pixels, head.size, inner, head.away)


def contrast_shares(quantiles: np.ndarray) -> dict[str, float]:
    """Probability of each contrast by values over white matter deep in a head, quantiles at ``PERCENTILES``."""
    names, coefficients, intercepts = _regression()
    scores = coefficients @ features_of_quantiles(quantiles) + intercepts
    shares = np.exp(scores - scores.max())
    return dict(zip(names, (shares / shares.sum()).tolist(), strict=True))


def features_of_quantiles(quantiles: np.ndarray) -> np.ndarray:
    """Logarithms, their pattern alone, which another gamma of the grey scale keeps, and how large they are, (17,)."""
    logs = np.log(np.maximum(quantiles, DARKEST))
    largest = max(float(np.abs(logs).max()), 1e-3)
    return np.concatenate([logs, logs / largest, [np.log(largest)]])


@cache
def _regression() -> tuple[list[str], np.ndarray, np.ndarray]:
    known = json.loads(FILE.read_text())
    return list(known["coefficients"]), np.array(list(known["coefficients"].values())), np.array(known["intercepts"])


def blocks(image: np.ndarray, spacing: np.ndarray, size_mm: float) -> tuple[Values, np.ndarray]:
    """Means over blocks of voxels of at most a size in mm, and their spacing; incomplete blocks are dropped."""
    steps = np.clip(np.floor(size_mm / spacing + 1e-6).astype(int), 1, image.shape)
    counts = np.asarray(image.shape) // steps
    whole = image[tuple(slice(0, count * step) for count, step in zip(counts, steps, strict=True))]
    parts = whole.reshape([size for pair in zip(counts, steps, strict=True) for size in pair])
    return parts.mean(axis=(1, 3, 5), dtype=np.float32), spacing * steps


def places(pixels: Values, size: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Distance of every voxel from the deepest point along each axis, broadcastable, and its depth (X, Y, Z), in mm."""
    steps = np.maximum(1, np.round(DEPTH_PIXEL_MM / size)).astype(int)
    head = solid(pixels[tuple(slice(None, None, step) for step in steps)], size * steps)
    depth = _depth(np.pad(head, 1), size * steps)[1:-1, 1:-1, 1:-1]
    centre = np.argwhere(depth >= 0.95 * depth.max()).mean(axis=0) * steps
    for axis, step in enumerate(steps):
        depth = np.repeat(depth, step, axis)
    grids = np.ogrid[tuple(slice(0, count) for count in pixels.shape)]
    away = [(grid - middle) * mm for grid, middle, mm in zip(grids, centre, size, strict=True)]
    return away, depth[tuple(slice(0, count) for count in pixels.shape)]


def solid(pixels: Values, size: np.ndarray) -> Mask:
    """The largest region above air, its clefts and cavities filled."""
    above = pixels > min(air_threshold(pixels), 0.5 * float(pixels.mean()))  # the mean serves heads without fat
    regions, _ = ndimage.label(above)
    widths = [int(np.ceil(CLOSED_MM / mm)) + 1 for mm in size]
    head = np.pad(regions == np.bincount(regions[above], minlength=2)[1:].argmax() + 1, [(w, w) for w in widths])
    closed = _depth(_depth(~head, size) <= CLOSED_MM, size) > CLOSED_MM
    filled: Mask = ndimage.binary_fill_holes(closed | head)
    return filled[tuple(slice(width, -width) for width in widths)]


def air_threshold(pixels: Values) -> float:
    """Threshold of Otsu 1979 over square roots, which bring bright fat closer to the rest."""
    counts, edges = np.histogram(np.sqrt(np.maximum(pixels, 0)), 128)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    above = below[-1] - below
    apart = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above.astype(float) * apart**2)] ** 2)


def relative_to_white(
    pixels: Values, size: np.ndarray, inner: Mask, away: list[np.ndarray]
) -> tuple[Values, np.ndarray]:
    """Values of the inner voxels over the level of white matter at their place, and its logarithm, (N,)."""
    floor = max(0.02 * float(np.percentile(pixels[inner], 98)), 1e-6 * float(pixels.max()))
    logs = np.log(np.maximum(pixels, floor))
    slopes = np.sqrt(sum((ndimage.sobel(logs, axis) / mm) ** 2 for axis, mm in enumerate(size)))[inner]
    beside = np.broadcast_to(np.abs(away[0]) > BESIDE_MM, inner.shape)[inner]
    even = slopes <= np.quantile(slopes, EVEN)
    white = beside & (slopes <= np.quantile(slopes[beside] if beside.any() else slopes, EVEN))
    values, grids = logs[inner], [np.broadcast_to(axis, inner.shape)[inner] / BALL_MM for axis in away]
    level = white_level(values, np.stack(grids, axis=1), even, white if white.any() else even)
    local = local_level(values - level, inner, even, size)
    relative: Values = np.exp(values - level - local)
    return relative, level + local


def white_level(values: np.ndarray, at: np.ndarray, even: Mask, white: Mask) -> np.ndarray:
    """Level of white matter: of several quadratics in the place that which most even voxels keep to.

    Args:
        values: logarithms, (N,).
        at: places, (N, 3), about -1 to 1.
        even: voxels to fit to, (N,).
        white: voxels by which fits are compared, (N,).
    """
    x, y, z = at.T
    terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    some, known = terms[even][::3], values[even][::3]
    stiff = np.diag([0.0] + [1.0] * 9)  # prefers a flat level
    fits = []
    for start in np.quantile(values[white], (0.1, 0.3, 0.5, 0.7, 0.9)):
        fit, width = np.full(len(known), start), 0.35
        for _ in range(10):
            weights = np.exp(-0.5 * ((known - fit) / width) ** 2)
            held = some * weights[:, None]
            ridge = 3e-3 * (weights.sum() + 1) * stiff + 1e-9 * np.eye(10)
            factors = np.linalg.solve(held.T @ some + ridge, held.T @ known)
            fit, width = some @ factors, max(0.06, 0.8 * width)
        fits.append(terms @ factors)
    best: np.ndarray = max(fits, key=lambda fit: float(np.exp(-0.5 * ((values - fit)[white] / 0.08) ** 2).sum()))
    return best


def local_level(values: np.ndarray, inner: Mask, even: Mask, size: np.ndarray) -> np.ndarray:
    """What is left of the bias field: a mean of the white matter around each inner voxel, (N,)."""
    weights, sums = np.zeros((2, *inner.shape), np.float32)
    weights[inner] = even * np.exp(-0.5 * (values / 0.12) ** 2)
    sums[inner] = weights[inner] * values
    near, level = (ndimage.gaussian_filter(part, 10.0 / size, truncate=2.5)[inner] for part in (weights, sums))
    local: np.ndarray = level / np.maximum(near, 0.02)
    return local


def _depth(mask: Mask, size: np.ndarray) -> np.ndarray:
    """Distance of every voxel of a mask from its outside, in mm."""
    depth: np.ndarray = ndimage.distance_transform_edt(mask, sampling=size)
    return depth
