"""Liver phantom: CT of a block of liver with focal lesions in the portal venous phase, determined by a seed.

Three classes after their radiological description:

- cysts: of water's density (0 to 20 HU), homogeneous, with a sharp edge and no visible wall (Mortele and Ros 2001);
- metastases: below the liver's density, ill-defined, often with a rim and a darker centre (Sica et al. 2000);
- hemangiomas: globular nodules at the edge that enhance like blood, around an unfilled centre (Quinn and Benjamin
  1992).

The classes overlap on purpose: dense cysts and necrotic metastases, faint nodules and broken rims, small lesions
blurred by the scanner, noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from scipy.special import expit

from common.errors import ConfigError

Array = NDArray[np.float32]
LESIONS = ("cyst", "metastasis", "hemangioma")
EXTENT_MM = (120.0, 120.0, 60.0)
"""Size of the block along right, anterior, superior."""
SLICE_MM = 2.5
"""Smallest slice distance."""
LIVER_HU, LIVER_SPREAD = 110.0, 10.0
"""Mean and standard deviation between patients of the parenchyma in the portal venous phase."""
BLOOD_HU = (130.0, 170.0)
"""Range of vessels and of the nodules of hemangiomas in that phase."""
RADIUS_MM = (4.0, 12.0)
"""Range of the lesions' radii; none is smaller than the pixels can show."""
PER_CLASS = (2, 3)
"""Smallest and largest number of lesions of a class."""
GAP_MM = 4.0
MIN_SPACING_MM, MAX_SPACING_MM = 0.5, 6.0
ATTEMPTS = 200


@dataclass(frozen=True)
class Liver:
    """Block of liver: ``ct`` (X, Y, Z) in HU, a mask (X, Y, Z) of the lesions of each class, the affine (RAS, mm)."""

    ct: Array
    masks: dict[str, NDArray[np.bool_]]
    affine: NDArray[np.float64]


def liver(seed: int, spacing: float) -> Liver:
    """Liver of one patient with lesions of every class, which share the patient's parenchyma, noise and blur.

    Args:
        seed: of the patient.
        spacing: of pixels, in mm; slices are 2.5 mm apart, or ``spacing`` if that is more.

    Raises:
        ConfigError: the spacing is outside 0.5 to 6 mm.
    """
    if not MIN_SPACING_MM <= spacing <= MAX_SPACING_MM:
        fault = f"spacing is {spacing}, not between {MIN_SPACING_MM} and {MAX_SPACING_MM} mm"
        raise ConfigError(fault, "give 1.0 as usual, or 3 to be quick")
    rng = np.random.default_rng(seed)
    steps = np.array([spacing, spacing, max(SLICE_MM, spacing)])
    shape = tuple(np.rint(np.array(EXTENT_MM) / steps).astype(int))
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.array(shape) - 1) / 2
    points = _points(shape, affine)
    ct = _parenchyma(rng, points, steps)
    masks = {name: np.zeros(shape, bool) for name in LESIONS}
    placed: list[tuple[NDArray[np.float64], float]] = []
    counts = dict(zip(LESIONS, rng.integers(PER_CLASS[0], PER_CLASS[1] + 1, len(LESIONS)), strict=True))
    for name in [name for turn in range(PER_CLASS[1]) for name in LESIONS if turn < counts[name]]:
        radius = float(rng.uniform(max(RADIUS_MM[0], 1.7 * spacing), RADIUS_MM[1]))
        centre = _place(rng, radius, placed)
        if centre is not None:
            placed.append((centre, radius))
            box = _box(centre, 1.6 * radius, affine, shape)
            local = np.stack([axis[box] for axis in points])
            depth, directions = lesion_depth(rng, local, centre, radius)
            fraction, values = PAINTERS[name](rng, depth, directions, radius)
            ct[box] += fraction * (values - ct[box])
            masks[name][box] |= depth > 0
    blur = rng.uniform(0.5, 0.9) / steps
    ct = ndimage.gaussian_filter(ct, blur) + _noise(rng, shape, steps)
    return Liver(ct.astype(np.float32), masks, affine)


def _points(shape: tuple[int, ...], affine: NDArray[np.float64]) -> Array:
    axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(shape)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _parenchyma(rng: np.random.Generator, points: Array, steps: NDArray[np.float64]) -> Array:
    """Parenchyma with slow variations of density, and vessels."""
    texture = ndimage.gaussian_filter(rng.standard_normal(points.shape[1:]), 6 / steps)
    ct = rng.normal(LIVER_HU, LIVER_SPREAD) + 4 * texture / texture.std()
    blood = rng.uniform(*BLOOD_HU)
    for _ in range(6):
        start, direction = rng.uniform(-0.5, 0.5, 3) * EXTENT_MM, rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        away = points - start.reshape(3, 1, 1, 1)
        along = np.tensordot(direction, away, 1)
        distance = np.sqrt(np.maximum((away**2).sum(0) - along**2, 0))
        ct += expit((rng.uniform(1.0, 3.5) - distance) / 0.5) * (blood - ct)
    return ct.astype(np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], steps: NDArray[np.float64]) -> Array:
    """Noise of 8 to 15 HU with the texture of a soft kernel."""
    grain = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), (0.7 / steps[0], 0.7 / steps[1], 0))
    return rng.uniform(8, 15) * grain / grain.std()


def _place(rng: np.random.Generator, radius: float, placed: list) -> NDArray[np.float64] | None:
    """Random centre away from the borders and the other lesions; None if there is no space left."""
    room = np.array(EXTENT_MM) / 2 - 1.5 * radius
    for _ in range(ATTEMPTS):
        centre = rng.uniform(-room, room)
        if all(np.linalg.norm(centre - other) > 1.2 * (radius + size) + GAP_MM for other, size in placed):
            return centre
    return None


def _box(
    centre: NDArray[np.float64], reach: float, affine: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, ...]:
    steps = affine.diagonal()[:3]
    low = np.floor((centre - reach - affine[:3, 3]) / steps).astype(int)
    high = np.ceil((centre + reach - affine[:3, 3]) / steps).astype(int) + 1
    return tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, shape, strict=True))


def lesion_depth(
    rng: np.random.Generator, points: Array, centre: NDArray[np.float64], radius: float
) -> tuple[Array, Array]:
    """Depth below the surface of a bumpy ellipsoid in mm (negative outside), and directions from its centre."""
    away = np.moveaxis(points, 0, -1) - centre
    turned = away @ Rotation.random(None, rng).as_matrix().T / (radius * rng.uniform(0.8, 1.2, 3))
    distance = np.linalg.norm(turned, axis=-1)
    directions = turned / np.maximum(distance, 1e-6)[..., None]
    waves = rng.uniform(1.5, 4.0, 5)[:, None] * _directions(rng, 5)
    bumps = np.cos(directions @ waves.T + rng.uniform(0, 2 * np.pi, 5)).mean(-1)
    return (radius * (1 + 0.15 * bumps - distance)).astype(np.float32), directions.astype(np.float32)


def _cyst(rng: np.random.Generator, depth: Array, directions: Array, radius: float) -> tuple[Array, Array]:
    return expit(depth / rng.uniform(0.3, 1.0)), np.full_like(depth, rng.uniform(0, 20))


def _metastasis(rng: np.random.Generator, depth: Array, directions: Array, radius: float) -> tuple[Array, Array]:
    values = np.full_like(depth, rng.uniform(20, 80))
    necrosis = rng.uniform(0, 40) * expit((depth - 0.5 * radius) / 1.5)
    rim = rng.uniform(0, 1) < 0.7
    wall = rim * rng.uniform(15, 70) * np.exp(-(((depth - 1.5) / rng.uniform(1.0, 2.5)) ** 2))
    turn, lobes = directions @ _directions(rng, 1)[0], rng.integers(1, 5)
    broken = 0.5 + 0.5 * np.cos(lobes * turn + rng.uniform(0, 6))
    return expit(depth / rng.uniform(0.6, 2.0)), values - necrosis + wall * broken


def _hemangioma(rng: np.random.Generator, depth: Array, directions: Array, radius: float) -> tuple[Array, Array]:
    values = np.full_like(depth, rng.uniform(30, 80))
    blood, strength = rng.uniform(*BLOOD_HU), rng.uniform(0.25, 1.0)
    outward = np.clip(1 - depth / radius, 0, None)[..., None] * directions
    for at in _directions(rng, int(rng.integers(3, 9))):
        size = rng.uniform(0.2, 0.45)
        distance = np.linalg.norm(outward - 0.85 * at, axis=-1)
        values += strength * expit((size - distance) / 0.08) * (blood - values)
    return expit(depth / rng.uniform(0.4, 1.2)), values


def _directions(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    drawn = rng.standard_normal((count, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


PAINTERS = {"cyst": _cyst, "metastasis": _metastasis, "hemangioma": _hemangioma}
