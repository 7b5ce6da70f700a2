"""Fingerprint of training cases: grid, foreground and intensities (Isensee et al. 2021, "dataset fingerprint")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from monai.data.utils import affine_to_spacing
from monai.transforms import Compose

from ..data.datalist import POOLS, Item
from ..errors import DataError
from ..grids import is_sheared
from ..transforms import HeadMaskd, WorkingSpacingd
from ..transforms.head import head_mask

PERCENTILES = (0.5, 99.5)
"""Of the foreground, as in nnU-Net."""
LEAST_FOREGROUND = 0.01
"""Slices with a smaller share of foreground are no training samples, see :mod:`common.data.datasets.slices`."""
Triple = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class CaseProperties:
    """One training case, its axes left-right, posterior-anterior, inferior-superior.

    Attributes:
        name: of the case.
        spacing: in mm.
        box: sides of the foreground's bounding box in voxels.
        slices: slices across each axis with at least 1 % foreground.
        is_sheared: whether the axes are not at right angles.
        sources: of each channel the ``PERCENTILES`` of the foreground; none of a case of the targets' pool.
        target: the same of the target; None of a case of the sources' pool.
    """

    name: str
    spacing: Triple
    box: tuple[int, int, int]
    slices: tuple[int, int, int]
    is_sheared: bool
    sources: tuple[Range, ...]
    target: Range | None


def fingerprint(data: Mapping[str, Sequence[Item]], preprocessing: Compose) -> list[CaseProperties]:
    """The fingerprint of the training section, sorted by name; one case is in memory at a time.

    Args:
        data: cases by section, of :func:`common.data.selection.training_cases`.
        preprocessing: of the bundle; volumes are read and oriented by what it does before the working spacing, and the
            foreground is the case's mask, otherwise its head.

    Raises:
        DataError: for no training cases, or a case without foreground.
    """
    items = list(data["training"]) or [item for pool in POOLS for item in data[pool]]
    if not items:
        raise DataError("section training has no cases to plan for", "pass another --dataset_dir or --datalist")
    return sorted((_case(item, preprocessing.transforms) for item in items), key=lambda case: case.name)


def _case(item: Item, transforms: Sequence[Any]) -> CaseProperties:
    loaded = Compose(list(takewhile(lambda each: not isinstance(each, WorkingSpacingd), transforms)))({**item})
    for masking in (each for each in transforms if isinstance(each, HeadMaskd)):
        loaded = dict(masking(loaded))
    first, name = loaded["image" if "image" in loaded else "label"], str(loaded["case"])
    inside = np.asarray(loaded["mask"][0]) > 0 if "mask" in loaded else head_mask(np.asarray(first[0]), None, 2, name)
    if not inside.any():
        raise DataError(f"the mask of {name} is empty", "correct it, or exclude the case")
    others = ((1, 2), (0, 2), (0, 1))
    places = [np.flatnonzero(inside.any(axis=pair)) for pair in others]
    x, y, z = (int(each[-1] - each[0]) + 1 for each in places)
    across = [int((inside.mean(axis=pair) >= LEAST_FOREGROUND).sum()) for pair in others]
    ranges = {key: [range_of(np.asarray(each), inside) for each in loaded.get(key, ())] for key in ("image", "label")}
    affine = np.asarray(first.affine)
    spacing = [float(each) for each in affine_to_spacing(affine)]
    return CaseProperties(
        name,
        (spacing[0], spacing[1], spacing[2]),
        (x, y, z),
        (across[0], across[1], across[2]),
        is_sheared(affine),
        tuple(ranges["image"]),
        ranges["label"][0] if ranges["label"] else None,
    )


def range_of(volume: np.ndarray, inside: np.ndarray) -> Range:
    """The ``PERCENTILES`` of a channel (X, Y, Z) in a foreground, bool (X, Y, Z)."""
    low, high = (float(each) for each in np.percentile(volume[inside], PERCENTILES))
    return low, high
