"""Known ways to spoil a held-out case, so that errors large and small are seen; the truth moves along.

Each is a function of (volumes, strength, random generator). Volumes (C, X, Y, Z) are oriented RAS: ``image``, and
``label`` and ``mask`` as far as the case has them. What changes the grid of the head changes all of them, what changes
the values changes the image alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...simulation.grid import smooth_noise, to_voxels
from ...transforms.head import head_mask

Volume = NDArray[np.float32]
Volumes = dict[str, Volume]
Distortion = Callable[[Volumes, Volume, float, np.random.Generator], Volumes]
"""Takes the volumes, the spacing (3,) in mm, a strength in [0, 1] and what is random."""


def distorted(name: str, volumes: Volumes, spacing: Volume, strength: float, seed: int) -> Volumes:
    """The volumes of a case, spoilt in one way, as new arrays: a function of its arguments.

    Args:
        name: key of :data:`FITTED` or :data:`OTHERS`.
        volumes: see the module.
        spacing: (3,) in mm.
        strength: from 0, which still changes the case, to 1.
        seed: of what is random.
    """
    return {**FITTED, **OTHERS}[name](volumes, spacing, strength, np.random.default_rng(seed))


# ---- values of the image alone --------------------------------------------------------------------------------------


def _of_values(change: Callable[[Volume, Volume, float, np.random.Generator], Volume]) -> Distortion:
    """A change of each channel, from its 0.1st to its 99.9th percentile given as 0 to 1."""

    def spoil(volumes: Volumes, spacing: Volume, strength: float, rng: np.random.Generator) -> Volumes:
        channels = []
        for channel in volumes["image"]:
            low, high = np.percentile(channel, (0.1, 99.9)).astype(np.float32)
            scaled = np.clip((channel - low) / max(high - low, np.float32(1.0e-9)), 0, 1)
            channels.append(change(scaled, spacing, strength, rng) * (high - low) + low)
        return {**volumes, "image": np.stack(channels).astype(np.float32)}

    return spoil


def _darker(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    return np.asarray(image ** (1.4 + 1.6 * strength))


def _brighter(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    return np.asarray(image ** (0.7 - 0.4 * strength))


def _inverted(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    """Contrast inside the head only, as of T2 against T1 weighting; the air stays dark."""
    head = head_mask(image, None, axial=2, case="image")
    turned = (1 - strength / 2) * (1 - image) + strength / 2 * image.mean(where=head)
    return np.where(head, turned, image)


def _noisy(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    """Rician (Gudbjartsson and Patz 1995)."""
    sigma = 0.04 + 0.16 * strength
    real, imaginary = (rng.normal(0, sigma, image.shape) for _ in range(2))
    return np.hypot(image + real, imaginary)


def _shaded(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    field = to_voxels(smooth_noise(rng, 45.0), image.shape, float(spacing.mean()))
    return np.asarray(image * np.exp((0.3 + 0.5 * strength) * field))


def _blurred(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    return np.asarray(ndimage.gaussian_filter(image, (2.0 + 3.0 * strength) / spacing))


def _in_thick_slices(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    """Means over thick axial slices, written on the grid of the scan."""
    count = max(2, round((7.0 + 8.0 * strength) / float(spacing[2])))
    first = np.arange(0, image.shape[2], count)
    sizes = np.diff([*first, image.shape[2]])
    return np.repeat(np.add.reduceat(image, first, axis=2) / sizes, sizes, axis=2)


def _ghosted(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    return np.asarray(image + (0.2 + 0.3 * strength) * np.roll(image, image.shape[1] // 2, axis=1))


def _stripped(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    """Without scalp and skull: what lies within 12 to 20 mm of the surface is as dark as air."""
    head = head_mask(image, None, axial=2, case="image")
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.where(depth > 12 + 8 * strength, image, 0)


def _only_noise(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    return np.abs(rng.normal(0.3, 0.2, image.shape))


def _shuffled(image: Volume, spacing: Volume, strength: float, rng: np.random.Generator) -> Volume:
    """Axial slices in a wrong order."""
    return image[:, :, rng.permutation(image.shape[2])]


# ---- the grid of all volumes ----------------------------------------------------------------------------------------


def _of_grid(change: Callable[[Volume, Volume, float, int, float], Volume]) -> Distortion:
    """A change of each volume, told the order of interpolation and what lies outside."""

    def spoil(volumes: Volumes, spacing: Volume, strength: float, rng: np.random.Generator) -> Volumes:
        orders = {name: 0 if name == "mask" else 1 for name in volumes}
        return {
            name: np.stack([change(each, spacing, strength, orders[name], float(each.min())) for each in volume])
            for name, volume in volumes.items()
        }

    return spoil


def _affine(volume: Volume, spacing: Volume, matrix: NDArray[np.float64], order: int, outside: float) -> Volume:
    """A volume (X, Y, Z) under a matrix (3, 3) of mm about its middle."""
    middle = (np.array(volume.shape) - 1) / 2
    inverse = np.diag(1 / spacing) @ np.linalg.inv(matrix) @ np.diag(spacing)
    moved: Volume = ndimage.affine_transform(
        volume, inverse, middle - inverse @ middle, order=order, mode="constant", cval=outside
    )
    return moved


def _turned(axes: tuple[int, int], degrees: tuple[float, float]) -> Distortion:
    def change(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
        angle = np.radians(degrees[0] + (degrees[1] - degrees[0]) * strength)
        matrix = np.eye(3)
        matrix[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return _affine(volume, spacing, matrix, order, outside)

    return _of_grid(change)


def _enlarged(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return _affine(volume, spacing, (1.2 + 0.3 * strength) * np.eye(3), order, outside)


def _shrunk(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return _affine(volume, spacing, (0.85 - 0.2 * strength) * np.eye(3), order, outside)


def _cut(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    """Without its upper part: the field of view ends there."""
    return volume[:, :, : round((0.75 - 0.35 * strength) * volume.shape[2])]


def _cut_at_the_side(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return volume[round((0.3 + 0.2 * strength) * volume.shape[0]) :]


def _turned_over(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return volume[:, :, ::-1]


def _back_to_front(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return volume[:, ::-1]


def _mirrored(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return volume[::-1]


def _folded(volume: Volume, spacing: Volume, strength: float, order: int, outside: float) -> Volume:
    return np.roll(volume, volume.shape[1] // 4, axis=1)


FITTED: Mapping[str, Distortion] = {
    "darker": _of_values(_darker),
    "brighter": _of_values(_brighter),
    "inverted contrast": _of_values(_inverted),
    "noise": _of_values(_noisy),
    "bias field": _of_values(_shaded),
    "blur": _of_values(_blurred),
    "thick slices": _of_values(_in_thick_slices),
    "scalp and skull removed": _of_values(_stripped),
    "nodded": _turned((1, 2), (10.0, 40.0)),
    "tilted": _turned((0, 2), (10.0, 40.0)),
    "cut from above": _of_grid(_cut),
    "enlarged": _of_grid(_enlarged),
}
"""The distortions from which the prediction is learnt."""

OTHERS: Mapping[str, Distortion] = {
    "shrunk": _of_grid(_shrunk),
    "turned by 90 degrees": _turned((0, 1), (90.0, 90.0)),
    "head turned aside": _turned((0, 1), (30.0, 30.0)),
    "upside down": _of_grid(_turned_over),
    "back to front": _of_grid(_back_to_front),
    "left and right exchanged": _of_grid(_mirrored),
    "cut at the side": _of_grid(_cut_at_the_side),
    "folded over": _of_grid(_folded),
    "ghost": _of_values(_ghosted),
    "slices in a wrong order": _of_values(_shuffled),
    "noise alone": _of_values(_only_noise),
}
"""Those that only a check tries, so that it tells how far the verdicts carry beyond what was learnt."""
