"""Sampling masks of k-space: lines of a Cartesian scan, Gaussian and Poisson-disc samples, spokes on the grid.

``RandomKspaceMask`` and ``EquispacedKspaceMask`` of MONAI draw masks of 1-D lines whose number varies from draw to
draw, and need the k-space itself; here a mask is a function of its settings, with the asked number of samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, choose
from .magnitude import is_number

Mask = NDArray[np.bool_]
MASKS = ("cartesian", "equispaced", "gaussian", "poisson", "radial")
LINES = ("cartesian", "equispaced")
"""Masks of whole columns."""
LEAST_SIDE = 8
"""Rows and columns that a plane has at least."""
CENTRE_SHARE = 0.32
"""Of the lines at an acceleration of 1, those of the centre unless it is given: 0.08 at 4, 0.04 at 8 (fastMRI)."""
DENSITY_WIDTH = 0.2
"""Standard deviation of the Gaussian densities over the width of k-space."""
POISSON_SLOPE = 8.0
"""How much wider the discs are at the edge of k-space than in its middle, less one."""
BISECTIONS = 12
"""Of the radius of the discs."""
GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2
"""Between successive spokes, 111.25 degrees (Winkelmann et al. 2007, IEEE Trans Med Imaging 26:68)."""


def sampling_mask(
    kind: str, shape: tuple[int, int], acceleration: float, centre_fraction: float | None = None, seed: int = 0
) -> Mask:
    """Which samples of a plane of k-space are measured, (rows, columns); frequency 0 is at (rows // 2, columns // 2).

    Rows are the readout, columns the phase encoding, as in fastMRI and MONAI. Of ``cartesian`` and ``equispaced`` whole
    columns are measured, chosen at random by a Gaussian density or evenly. The other kinds undersample both axes, as
    two phase-encoding axes of a 3-D scan do; ``gaussian`` is the 2-D mask of Yang et al. 2018, ``poisson`` has
    Poisson discs that grow with the distance from the middle (Lustig and Pauly 2010, Magn Reson Med 64:457),
    ``radial`` spokes by the golden angle, moved onto the grid.

    Args:
        kind: one of ``MASKS``.
        shape: rows and columns, at least ``LEAST_SIDE`` each.
        acceleration: samples of the plane over measured ones, above 1. Their number is exact but for rounding (to
            whole lines or spokes).
        centre_fraction: fraction of the columns, for 2-D kinds of rows and columns, that is fully measured in the
            middle; by default ``CENTRE_SHARE`` / acceleration. At least one line or sample is.
        seed: of the choice.

    Raises:
        ConfigError: a setting is out of its range, or the centre leaves no sample for the rest of k-space.
    """
    fraction = centre_fraction_of(kind, acceleration, centre_fraction)
    if len(shape) != 2 or min(shape) < LEAST_SIDE:
        fault = f"the plane of k-space has shape {tuple(shape)}, not at least {LEAST_SIDE} rows and columns"
        raise ConfigError(fault, "give larger slices")
    plane = (1, shape[1]) if kind in LINES else shape
    centre = _centre(plane, fraction, kind in LINES)
    budget = round(plane[0] * plane[1] / acceleration)
    if budget <= centre.sum():
        what = "lines" if kind in LINES else "samples"
        fault = f"the middle takes {centre.sum()} of {budget} {what}, all that --acceleration {acceleration:g} measures"
        raise ConfigError(fault, "lower --centre_fraction or --acceleration")
    rng = np.random.default_rng(seed)
    chosen = {"equispaced": _even, "poisson": _discs, "radial": _spokes}.get(kind, _dense)(centre, budget, rng)
    return np.ascontiguousarray(np.broadcast_to(chosen, shape))


def centre_fraction_of(kind: str, acceleration: float, centre_fraction: float | None) -> float:
    """The fraction of the middle, after the settings that no plane can have are refused.

    Args: see :func:`sampling_mask`.

    Raises:
        ConfigError: see :func:`sampling_mask`.
    """
    if kind not in MASKS:
        raise ConfigError(f"--mask is {kind!r}", choose(MASKS))
    if not is_number(acceleration) or acceleration <= 1:
        remedy = "pass a number such as 4, for a quarter of the samples"
        raise ConfigError(f"--acceleration is {acceleration!r}, not above 1", remedy)
    fraction = CENTRE_SHARE / acceleration if centre_fraction is None else centre_fraction
    most = (1 / acceleration) ** (1 if kind in LINES else 0.5)
    if not is_number(fraction) or not 0 <= fraction < most:
        fault = f"--centre_fraction is {fraction!r}, not from 0 to below {most:.3g}, all that is measured"
        raise ConfigError(fault, f"lower it, or --acceleration {acceleration:g}")
    return fraction


def _centre(shape: tuple[int, int], fraction: float, lines: bool) -> Mask:
    """The fully measured middle, at least one sample."""
    centre = np.zeros(shape, dtype=bool)
    sizes = [1 if lines and axis == 0 else max(1, round(n * fraction)) for axis, n in enumerate(shape)]
    starts = [n // 2 - size // 2 for n, size in zip(shape, sizes, strict=True)]
    centre[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))] = True
    return centre


def _places(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Distance of each sample from the middle; 0.5 at the edge of each axis."""
    axes = [(np.arange(n) - n // 2) / max(n, 2) for n in shape]
    return np.hypot(*np.meshgrid(*axes, indexing="ij"))


def _dense(centre: Mask, budget: int, rng: np.random.Generator) -> Mask:
    """Samples without replacement by a Gaussian density: the largest keys log p + Gumbel (Efraimidis 2006)."""
    keys = -(_places(centre.shape) ** 2) / (2 * DENSITY_WIDTH**2) + rng.gumbel(size=centre.shape)
    keys[centre] = np.inf
    mask = np.zeros(centre.size, dtype=bool)
    mask[np.argsort(-keys, axis=None, kind="stable")[:budget]] = True
    return mask.reshape(centre.shape)


def _even(centre: Mask, budget: int, rng: np.random.Generator) -> Mask:
    """Lines at even steps outside the centre, from a random first one."""
    others = np.flatnonzero(~centre)
    step = len(others) / (budget - centre.sum())
    mask: Mask = centre.copy()
    mask.flat[others[((np.arange(budget - centre.sum()) + rng.uniform()) * step).astype(int)]] = True
    return mask


def _discs(centre: Mask, budget: int, rng: np.random.Generator) -> Mask:
    """Poisson discs: the largest radius that leaves enough samples; surplus ones are removed at random."""
    order = rng.permutation(centre.size)
    growth = 1 + POISSON_SLOPE * np.minimum(2 * _places(centre.shape), 1)
    low, high, mask = 0.0, float(max(centre.shape)), np.ones_like(centre)
    for _ in range(BISECTIONS):
        radius = (low + high) / 2
        thrown = _thrown(centre, radius * growth, order)
        if thrown.sum() >= budget:
            low, mask = radius, thrown
        else:
            high = radius
    outside = np.flatnonzero(mask & ~centre)
    mask.flat[rng.choice(outside, mask.sum() - budget, replace=False)] = False
    return mask


def _thrown(centre: Mask, radii: NDArray[np.float64], order: NDArray[np.int64]) -> Mask:
    """Samples in a given order, each unless it lies within the radius of an earlier one; and the centre."""
    rows, columns = centre.shape
    blocked: Mask = centre.copy()
    mask: Mask = centre.copy()
    discs: dict[int, Mask] = {}
    for place in order.tolist():
        row, column = divmod(place, columns)
        if blocked[row, column]:
            continue
        mask[row, column] = True
        radius = radii[row, column]
        reach = int(radius)
        if reach == 0:
            continue
        if (key := int(radius**2)) not in discs:  # the squares of distances are whole numbers
            offsets = np.arange(-reach, reach + 1)
            discs[key] = offsets[:, None] ** 2 + offsets**2 <= key
        top, left = max(row - reach, 0), max(column - reach, 0)
        view = blocked[top : row + reach + 1, left : column + reach + 1]
        up, aside = top - row + reach, left - column + reach
        view |= discs[key][up : up + view.shape[0], aside : aside + view.shape[1]]
    return mask


def _spokes(centre: Mask, budget: int, rng: np.random.Generator) -> Mask:
    """As many spokes as come closest to the number of samples."""
    rows, columns = centre.shape
    steps = np.arange(-max(rows, columns) // 2, max(rows, columns) // 2 + 1) / max(rows, columns)
    turns = rng.uniform(0, math.pi) + GOLDEN_ANGLE * np.arange(8 * max(rows, columns))
    directions = np.array([np.cos(turns), np.sin(turns)]) / np.maximum(np.abs(np.cos(turns)), np.abs(np.sin(turns)))
    rays = zip(centre.shape, directions, strict=True)
    places = [np.rint(n // 2 + n * each[:, None] * steps).astype(int) for n, each in rays]
    inside = (places[0] >= 0) & (places[0] < rows) & (places[1] >= 0) & (places[1] < columns)
    first = np.where(centre, -1, len(turns))
    numbers = np.broadcast_to(np.arange(len(turns))[:, None], inside.shape)
    np.minimum.at(first, (places[0][inside], places[1][inside]), numbers[inside])
    counts = np.cumsum(np.bincount(first.ravel() + 1, minlength=len(turns) + 1))[: len(turns) + 1]
    spokes = 1 + int(np.argmin(np.abs(counts[1:] - budget)))
    return np.asarray(first < spokes, dtype=bool)
