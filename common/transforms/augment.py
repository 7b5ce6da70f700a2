"""Random geometry and intensity of training samples, from MONAI's dictionary transforms."""

from __future__ import annotations

from collections.abc import Mapping
from math import radians
from typing import Any

from monai.data import get_track_meta, set_track_meta
from monai.transforms import (
    Compose,
    Identityd,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    Transform,
)

from ..errors import ConfigError, choose
from ..stitching import plane_axis
from .loading import MASKS

IMAGES = ("image", "label", "context")
RANGES = {"rotation": 180.0, "scale": 0.5, "flip": 1.0, "gamma": 0.9, "noise": 1.0}
"""The settings, and the largest value of each; 0 switches one off."""

PROBABILITY = 0.5
"""Share of the samples that are rotated and scaled, and likewise of those with another contrast and with noise. The
others keep their voxels, since interpolation blurs the truth that a generator is to imitate."""


def random_augmentation(settings: Mapping[str, float] | None, plane: str | None = None) -> Transform:
    """Random transforms of a training sample: one geometry for all its images and regions, intensities of the source.

    ``rotation``: largest angle in degrees, in the plane or about each axis, in voxels. ``scale``: largest relative
    change of size along each axis. ``flip``: probability of exchanging left and right. ``gamma``: largest relative
    deviation from 1 of an exponent on the intensities of the source, from its lowest to its highest. ``noise``: largest
    standard deviation of Gaussian noise on the source, in the scaled intensities. Images are interpolated linearly,
    regions by nearest neighbour, and beyond the border a sample is reflected: padded slices are surrounded by air, and
    patches inside the head are not.

    Args:
        settings: the values by these names; 0 or absent: off. None: everything off.
        plane: of slices (C, H, W) cut from RAS volumes; sagittal ones have no left and right. None for patches
            (C, X, Y, Z).

    Returns:
        A transform of samples with ``image``, ``label``, ``context`` and regions, as far as they exist; one that is not
        random where all is off.

    Raises:
        ConfigError: for an unknown name or a value out of range.
    """
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    for name, value in given.items():
        if name not in RANGES:
            raise ConfigError(f"--augmentation::{name} is not a setting", choose(RANGES))
        if not 0 <= value <= RANGES[name]:
            fault = f"--augmentation::{name} is {value}, not from 0 to {RANGES[name]:g}"
            raise ConfigError(fault, "give a number in that range, 0 for off")
    drawn = [*_geometry(given, 3 if plane is None else 2), *_flip(given, plane), *_intensity(given)]
    return Compose(drawn) if drawn else Identityd(IMAGES, allow_missing_keys=True)


def augmented(sample: dict[str, Any], transform: Compose, seed: int) -> dict[str, Any]:
    """A sample of plain tensors after random transforms drawn from a seed.

    Meanwhile MONAI tracks no metadata, in no thread: they take most of the time of a small sample, which has none.
    """
    transform.set_random_state(seed=seed % 2**32)
    tracked = get_track_meta()
    set_track_meta(False)
    try:
        drawn: dict[str, Any] = transform(sample)
    finally:
        set_track_meta(tracked)
    return drawn


def _geometry(given: Mapping[str, float], dimensions: int) -> list[Transform]:
    turn, scale = radians(given.get("rotation", 0)), given.get("scale", 0)
    if not turn and not scale:
        return []
    modes = ["bilinear"] * len(IMAGES) + ["nearest"] * len(MASKS)
    return [
        RandAffined(
            [*IMAGES, *MASKS],
            prob=PROBABILITY,
            rotate_range=[turn] * (3 if dimensions == 3 else 1),
            scale_range=[scale] * dimensions,
            mode=modes,
            padding_mode="reflection",
            allow_missing_keys=True,
        )
    ]


def _flip(given: Mapping[str, float], plane: str | None) -> list[Transform]:
    """Left and right are the first axis of a volume, and of a slice that has both."""
    if not given.get("flip") or plane is not None and plane_axis(plane) == 0:
        return []
    return [RandFlipd([*IMAGES, *MASKS], prob=given["flip"], spatial_axis=0, allow_missing_keys=True)]


def _intensity(given: Mapping[str, float]) -> list[Transform]:
    drawn: list[Transform] = []
    if gamma := given.get("gamma"):
        drawn.append(
            RandAdjustContrastd("image", prob=PROBABILITY, gamma=(1 - gamma, 1 + gamma), allow_missing_keys=True)
        )
    if noise := given.get("noise"):
        drawn.append(RandGaussianNoised("image", prob=PROBABILITY, std=noise, allow_missing_keys=True))
    return drawn
