"""Fingerprint of training cases: grid, foreground and intensities (Isensee et al. 2021, "dataset fingerprint")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from monai.data.utils import affine_to_spacing
from monai.transforms import Compose

from ..data.datalist import POOLS, Item
from ..errors import DataError
from ..grids import is_sheared
from ..transforms import HeadMaskd, ScaleWindowd, WorkingSpacingd
from ..transforms.head import head_mask

PERCENTILES = (0.5, 50.0, 99.5)
"""Of the foreground, as in nnU-Net."""
LEAST_FOREGROUND = 0.01
"""Slices with a smaller share of foreground are no training samples, see :class:`common.data.SliceDataset`."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Values:
    """Intensities of one channel of a case.

    Attributes:
        percentiles: 0.5, 50 and 99.5 of the foreground.
        below: share of the foreground below the window of the settings; 0 without a fixed window.
        above: share above it; without a fixed window above the upper one of the settings' percentiles.
        share: foreground voxels of all voxels above the volume's minimum, of which those percentiles are taken.
    """

    percentiles: Triple
    below: float
    above: float
    share: float


@dataclass(frozen=True)
class Case:
    """One training case, its axes left-right, posterior-anterior, inferior-superior.

    Attributes:
        name: of the case.
        spacing: in mm.
        box: sides of the foreground's bounding box in voxels.
        foreground: its share of the volume.
        slices: slices across each axis with at least 1 % foreground.
        is_sheared: whether the axes are not at right angles.
        sources: one for each channel; empty for a case of the targets' pool.
        target: None for a case of the sources' pool.
    """

    name: str
    spacing: Triple
    box: tuple[int, int, int]
    foreground: float
    slices: tuple[int, int, int]
    is_sheared: bool
    sources: tuple[Values, ...]
    target: Values | None


def fingerprint(data: Mapping[str, Sequence[Item]], preprocessing: Compose) -> list[Case]:
    """The fingerprint of the training section, sorted by name; one case is in memory at a time.

    Args:
        data: cases by section, of :func:`common.data.training_cases`.
        preprocessing: of the bundle; volumes are read and oriented by what it does before the working spacing, the
            foreground is the case's mask, otherwise its head, and windows are those of its intensity scaling.

    Raises:
        DataError: for no training cases, or a case without foreground.
    """
    items = list(data["training"]) or [item for pool in POOLS for item in data[pool]]
    if not items:
        raise DataError("section training", "has cases to plan for", "none", "give --dataset_dir or --datalist")
    transforms = preprocessing.transforms
    reading = Compose(list(takewhile(lambda each: not isinstance(each, WorkingSpacingd), transforms)))
    masks = [each for each in transforms if isinstance(each, HeadMaskd)]
    scaling = {key: each for each in transforms if isinstance(each, ScaleWindowd) for key in each.keys}
    found = [_case(reading({**item}), masks, scaling) for item in items]
    return sorted(found, key=lambda case: case.name)


def _case(loaded: dict[str, Any], masks: Iterable[HeadMaskd], scaling: Mapping[Any, ScaleWindowd]) -> Case:
    first = loaded["image"] if "image" in loaded else loaded["label"]
    for each in masks:
        loaded = dict(each(loaded))  # type: ignore[arg-type]
    name = str(loaded["case"])
    inside = np.asarray(loaded["mask"][0]) > 0 if "mask" in loaded else head_mask(np.asarray(first[0]), None, 2, name)
    if not inside.any():
        raise DataError(f"mask of case {name}", "marks the foreground", "nothing", "correct it, or exclude the case")
    others = ((1, 2), (0, 2), (0, 1))
    places = [np.flatnonzero(inside.any(axis=pair)) for pair in others]
    x, y, z = (int(each[-1] - each[0]) + 1 for each in places)
    counts = [int((inside.mean(axis=pair) >= LEAST_FOREGROUND).sum()) for pair in others]
    channels = [
        tuple(
            values_of(np.asarray(channel), inside, scaling.get(key), number) for number, channel in enumerate(volumes)
        )
        for key in ("image", "label")
        for volumes in [loaded.get(key, ())]
    ]
    affine = np.asarray(first.affine)
    spacing = [float(each) for each in affine_to_spacing(affine)]
    return Case(
        name,
        (spacing[0], spacing[1], spacing[2]),
        (x, y, z),
        float(inside.mean()),
        (counts[0], counts[1], counts[2]),
        is_sheared(affine),
        channels[0],
        channels[1][0] if channels[1] else None,
    )


def values_of(volume: np.ndarray, inside: np.ndarray, scaling: ScaleWindowd | None = None, channel: int = 0) -> Values:
    """Intensities of a channel.

    Args:
        volume: (X, Y, Z) in its unit.
        inside: the foreground, bool (X, Y, Z).
        scaling: of the channel, whose window or percentiles are compared; None for none.
        channel: its number, where windows are one per channel.
    """
    foreground = volume[inside]
    low, middle, high = (float(each) for each in np.percentile(foreground, PERCENTILES))
    over = volume > volume.min()
    share = float((over & inside).sum() / max(1, over.sum()))
    below = above = 0.0
    if scaling is not None and scaling.window is not None:
        window = np.atleast_2d(np.asarray(scaling.window, dtype=float))
        bottom, top = window[channel if len(window) > 1 else 0]
        below, above = float((foreground < bottom).mean()), float((foreground > top).mean())
    elif scaling is not None and scaling.percentiles is not None and over.any():
        above = float((foreground > np.percentile(volume[over], scaling.percentiles[1])).mean())
    return Values((low, middle, high), below, above, share)
