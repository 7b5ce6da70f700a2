"""Training samples of 2-D methods: the slices of cached volumes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.data.utils import affine_to_spacing
from monai.transforms import Compose
from monai.utils import MetaKeys
from nibabel.orientations import io_orientation
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import DataError
from ...networks.slabs import odd_neighbours, slabs
from ...seeds import derive
from ...stitching import plane_axis
from ...stitching.slice_stitching import PLANES
from ...transforms.augment import augmented
from .cached_volumes import Item, PreprocessedCases, plain, require_volumes
from .mapped import cut, packed

logger = logging.getLogger(__name__)
ELONGATED = 2.0
"""Ratio of the elongation of pixels to that of another plane above which a hint is logged."""

LEAST_PIXELS = 4
"""Sides of a slice below which it is a line, where another plane has slices."""


def _scanned_shape(volume: Tensor) -> Sequence[int]:
    """Voxels of the scan of a prepared volume (C, X, Y, Z) along its axes, in RAS order; its own if none is known."""
    meta = getattr(volume, "meta", {})
    if MetaKeys.SPATIAL_SHAPE not in meta or MetaKeys.ORIGINAL_AFFINE not in meta:
        return volume.shape[1:]
    axes = io_orientation(np.asarray(meta[MetaKeys.ORIGINAL_AFFINE], float))[:, 0]
    return [int(side) for _, side in sorted(zip(axes, meta[MetaKeys.SPATIAL_SHAPE], strict=True))]


class SliceDataset(PreprocessedCases):
    """Slices of all cases in one plane, with their neighbours as channels of the image (2.5-D).

    Each case is preprocessed once a machine, and then takes 2 bytes per voxel of an image with at most 65,536 values,
    else 4; see :class:`~common.data.datasets.cached_volumes.PreprocessedCases`. Slices with a smaller share of the mask
    than ``min_foreground`` are excluded: a constant slice has no variance to normalise by.

    A sample is a function of (``seed``, epoch, index) only, independent of process and worker: index the dataset with
    the pairs ``(epoch, index)`` of :class:`common.data.samplers.EpochSampler`, or with an index for epoch 0.

    Args:
        data: items with ``image``, ``label`` and ``case``.
        transform: preprocessing of the volumes, without random transforms; must give ``mask``.
        augmentation: random transforms of the (C, H, W) arrays of a sample, the same for source and target.
        plane: sagittal, coronal or axial.
        neighbours: slices per slab of the image, odd. The label is the central slice.
        min_foreground: smallest share of a slice inside the mask.
        seed: of the augmentation.
        keys: of a sample, ``image``, ``label`` or both.

    Raises:
        DataError: if a case has no mask, no slice has enough foreground, or a volume has lines in this plane and slices
            in another.
        ConfigError: for a wrong plane or number of neighbours, or preprocessing that gives no image or label or is
            random, which cannot be cached.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable[..., Any],
        augmentation: Callable[..., Any] | None = None,
        plane: str = "sagittal",
        neighbours: int = 1,
        min_foreground: float = 0.01,
        seed: int = 0,
        keys: Sequence[str] = ("image", "label"),
    ) -> None:
        self.plane, self.axis = plane, plane_axis(plane)
        self.neighbours = odd_neighbours(neighbours)
        self.min_foreground = min_foreground
        super().__init__(data, transform, keys)
        self.seed = seed
        self.augmentation = augmentation if isinstance(augmentation, Compose) else Compose(augmentation or [])
        self.slices = [(number, place) for number, case in enumerate(self._cache) for place in case["places"]]
        if not self.slices:
            fault = f"no slice of {len(self.data)} cases has {min_foreground:.0%} of its pixels in the mask"
            raise DataError(fault, "check the masks, or lower min_foreground")

    def kept(self, number: int, item: Item) -> dict[str, Any]:
        """The images with the axis of the slices first, and the places of slices with enough foreground."""
        case = str(item.get("case", number))
        self._require_arrays(item, case)
        self._require_slices(item, case)
        if not number:
            self._advise(item)
        share = (plain(item["mask"])[0] > 0).float().mean(dim=[axis for axis in range(3) if axis != self.axis])
        places = torch.nonzero(share >= self.min_foreground).flatten().tolist()
        # a slice is then in one piece of the file
        images = {key: packed(plain(item[key]).movedim(self.axis + 1, 1)) for key in self.keys}
        return {"case": case, "images": images, "places": places}

    def _require_arrays(self, item: Item, case: str) -> None:
        if {*self.keys, "mask"} - item.keys() == {"mask"}:
            fault = f"case {case} has no mask, and its preprocessing makes none"
            raise DataError(fault, "add its file of the mask, or HeadMaskd to the preprocessing")
        require_volumes(item, {*self.keys, "mask"}, case)

    def _require_slices(self, item: Item, case: str) -> None:
        """Refuse scans a few voxels thick in a plane that cuts them into lines, whatever margin they were given."""
        shape = _scanned_shape(item[self.keys[0]])
        sides = {name: np.delete(shape, axis) for name, axis in PLANES.items()}
        best = max(sides, key=lambda name: int(sides[name].min()))
        own = sides[self.plane]
        if own.min() < LEAST_PIXELS <= sides[best].min():
            fault = f"case {case} has {self.plane} slices of {' x '.join(map(str, own))} pixels"
            raise DataError(fault, f"pass --plane {best}, whose slices are the acquired ones")

    def _advise(self, item: Item) -> None:
        """A hint where the slices have far less square pixels than those of another plane."""
        affine = getattr(item[self.keys[0]], "affine", None)
        if affine is None:
            return
        spacing = np.asarray(affine_to_spacing(affine))
        pixels = {name: np.sort(np.delete(spacing, axis)) for name, axis in PLANES.items()}
        stretched = {name: long / short for name, (short, long) in pixels.items()}
        best = min(stretched, key=stretched.__getitem__)
        if stretched[self.plane] > ELONGATED * stretched[best]:
            short, long = pixels[self.plane]
            logger.warning(
                f"slices: pixels of the first case have {short:.3g} x {long:.3g} mm in {self.plane} slices; the slices"
                f" of --plane {best} are the acquired ones"
            )

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:  # type: ignore[override]
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number, place = self.slices[index]
        case = self._cache[number]
        sample = {key: cut(case["images"][key], partial(self._slab, key=key, place=place)) for key in self.keys}
        sample = augmented(sample, self.augmentation, derive(self.seed, epoch, index))
        return {**{key: plain(volume) for key, volume in sample.items()}, "case": case["case"]}

    def _slab(self, channel: Tensor, key: str, place: int) -> Tensor:
        return slabs(channel, 0, self.neighbours if key == "image" else 1, range(place, place + 1))[0]


class UnpairedSliceDataset(Dataset[dict[str, Any]]):
    """Slices of two unpaired pools of cases: ``image`` from pool A, ``label`` from pool B.

    An epoch visits every slice of pool A once, each with a random slice of pool B, drawn again every epoch. As in
    :class:`SliceDataset`, a sample is a function of (``seed``, epoch, index) only; A and B are cropped independently.

    Args:
        data: pool A, items with ``image`` and ``case``; a ``label`` is used by preprocessing only (for the mask).
        target_data: pool B, items with ``label`` and ``case``.
        transform: preprocessing of both, with ``allow_missing_keys``.
        augmentation: random transforms, with ``allow_missing_keys``.
        seed: of the random choice and augmentation.
        **slicing: further arguments of :class:`SliceDataset`, for both pools.
    """

    paired = False
    """Whether ``label`` is the true target of ``image``, as methods of that name need."""

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        target_data: Sequence[dict[str, Any]],
        transform: Callable[..., Any],
        augmentation: Callable[..., Any] | None = None,
        seed: int = 0,
        **slicing: Any,
    ) -> None:
        self.seed = seed
        self.sources = SliceDataset(data, transform, augmentation, seed=seed, keys=["image"], **slicing)
        self.targets = SliceDataset(target_data, transform, augmentation, seed=seed + 1, keys=["label"], **slicing)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        source = self.sources[epoch, index]
        target = self.targets[epoch, derive(self.seed, epoch, index) % len(self.targets)]
        return {**source, "label": target["label"], "case": f"{source['case']}, {target['case']}"}
