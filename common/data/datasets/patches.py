"""Training samples of 3-D methods: patches of cached volumes."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose
from torch import Tensor

from common.data.datasets.cached_volumes import name_of, plain, require_one_shape, require_volumes
from common.data.datasets.patch_positions import cells, grid_start, last_starts, padded, start_around, voxels_of
from common.errors import ConfigError, DataError
from common.seeds import derive

logger = logging.getLogger(__name__)


class VolumePatchDataset(CacheDataset):
    """Patches of all cases: drawn at random, or the grid of patches that tiles each volume.

    The volumes are loaded and preprocessed once and kept in memory: 4 bytes a voxel and channel, 1 a region, and 4 for
    each voxel that centres are drawn from. A volume smaller than the patch is padded at its ends, each channel by its
    minimum, which is background, and regions by 0.

    A patch is centred on a voxel of ``lesion`` with probability ``lesion_share`` where the case has one; of the others,
    on a voxel of ``mask`` with probability ``foreground_share``; else it lies anywhere, all places alike. A patch that
    would leave the volume is shifted inside, and still holds the voxel.

    A sample is a function of (``seed``, epoch, index) alone, whichever process or worker draws it: ask with the pair
    ``(epoch, index)`` that :class:`common.data.samplers.EpochSampler` gives, or with an index for epoch 0. It holds
    plain tensors (C, X, Y, Z) of the patch's size, ``keys``, ``regions`` (zeros where the case has none, so that
    samples collate) and the ``context`` of :meth:`set_context`, and the ``case``.

    ``scales`` holds by case the mean and deviation of a label that was standardised.

    Args:
        data: items with ``image``, ``label`` and ``case``.
        transform: preprocessing of the volumes, without randomness; must give ``mask`` where centres lie in it.
        augmentation: random transforms of a sample's arrays, all of them together.
        patch_size: voxels along X, Y, Z.
        patches_per_case: samples of a case an epoch; a grid has as many as it needs.
        foreground_share: of the patches not centred on a lesion, those centred in the mask.
        lesion_share: of the patches of a case that has a lesion, those centred on it.
        grid: instead of random patches those that tile each volume without overlap, once an epoch; volumes are padded
            to whole patches, and nothing is left out as background.
        regions: keys of region masks that a sample holds, (1, X, Y, Z), such as ``lesion``, ``nawm`` and ``mask``.
        seed: of drawing and augmentation.
        num_workers: threads that fill the cache.
        keys: of images that a sample holds.

    Raises:
        ConfigError: for a size, number or share out of range, or where preprocessing gives no image, label or mask,
            volumes of several shapes in a case, or draws at random, which cannot be cached.
        DataError: for a case whose mask has no voxel to centre on.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable[..., Any],
        augmentation: Callable[..., Any] | None = None,
        patch_size: Sequence[int] = (32, 32, 32),
        patches_per_case: int = 64,
        foreground_share: float = 0.9,
        lesion_share: float = 0.0,
        grid: bool = False,
        regions: Sequence[str] = (),
        seed: int = 0,
        num_workers: int = 1,
        keys: Sequence[str] = ("image", "label"),
    ) -> None:
        sides = list(patch_size)
        _require("patch_size", "is three positive numbers", sides, len(sides) == 3 and min(sides) > 0)
        _require("patches_per_case", "is positive", patches_per_case, patches_per_case > 0)
        for name, share in (("foreground_share", foreground_share), ("lesion_share", lesion_share)):
            _require(name, "is a share from 0 to 1", share, 0 <= share <= 1)
        self.patch_size = tuple(sides)
        self.foreground_share, self.lesion_share = (0.0, 0.0) if grid else (foreground_share, lesion_share)
        self.grid = grid
        self.keys, self.regions = tuple(keys), tuple(regions)
        super().__init__(data, transform, num_workers=num_workers, copy_cache=False)
        self.seed = seed
        self.augmentation = augmentation if isinstance(augmentation, Compose) else Compose(augmentation or [])
        require_volumes(self._cache, {*self.keys, *(["mask"] if self.foreground_share else [])})
        require_one_shape(self._cache, (*self.keys, "mask", "lesion", *self.regions))
        self.shapes = [tuple(item[self.keys[0]].shape[1:]) for item in self._cache]
        self.lesions = self._voxels("lesion", self.lesion_share)
        self.foregrounds = self._voxels("mask", self.foreground_share)
        self._require_centres()
        scaled = [number for number, item in enumerate(self._cache) if "label_scale" in item]
        self.scales = {self._name(number): self._cache[number]["label_scale"] for number in scaled}
        self._cache = [self._kept(number) for number in range(len(self.shapes))]
        counts = [prod(cells(shape, self.patch_size)) if grid else patches_per_case for shape in self.shapes]
        self.ends = list(accumulate(counts))

    def volume(self, number: int, key: str = "image") -> Tensor:
        """A case's preprocessed volume (C, X, Y, Z) as it was before padding, such as to infer its context from."""
        x, y, z = self.shapes[number]
        volume: Tensor = self._cache[number][key]
        return volume[:, :x, :y, :z]

    def set_context(self, volumes: Sequence[Tensor]) -> None:
        """Give each case one more volume, such as what an earlier stage made of it: samples then hold ``context``.

        It is padded, cut and augmented like the others (transforms that name it need ``allow_missing_keys`` where other
        stages have none). Worker processes that run already keep what they had.

        Args:
            volumes: (C, X, Y, Z) on the grid of each case, in the order of the data.

        Raises:
            DataError: for another number of volumes, or one on another grid.
        """
        if len(volumes) != len(self._cache):
            raise DataError("context", f"has a volume for each of {len(self._cache)} cases", len(volumes), "give them")
        for number, (volume, shape) in enumerate(zip(volumes, self.shapes, strict=True)):
            if volume.ndim != 4 or tuple(volume.shape[1:]) != shape:
                rule = f"has the shape (channels, {', '.join(map(str, shape))}) of its image"
                remedy = "infer it from volume()"
                raise DataError(f"context of case {self._name(number)}", rule, tuple(volume.shape), remedy)
        for number, volume in enumerate(volumes):
            self._cache[number]["context"] = self._padded(plain(volume).float())

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:  # type: ignore[override]
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number = bisect_right(self.ends, index)
        item = self._cache[number]
        seed = derive(self.seed, epoch, index)
        start = self._start(number, index, np.random.default_rng(seed))
        window = (..., *(slice(first, first + side) for first, side in zip(start, self.patch_size, strict=True)))
        sample = {name: volume[window].clone() for name, volume in item.items() if name != "case"}
        for name in self.regions:
            sample[name] = sample[name].float() if name in sample else torch.zeros(1, *self.patch_size)
        self.augmentation.set_random_state(seed=seed % 2**32)
        sample = self.augmentation(sample)
        return {**{name: plain(volume) for name, volume in sample.items()}, "case": item["case"]}

    def _start(self, number: int, index: int, chance: np.random.Generator) -> list[int]:
        """The first voxel of a patch along each axis."""
        shape = self.shapes[number]
        if self.grid:
            before = self.ends[number - 1] if number else 0
            return grid_start(index - before, shape, self.patch_size)
        voxels = self._centres(number, chance)
        if voxels is None:
            return [int(chance.integers(last + 1)) for last in last_starts(shape, self.patch_size)]
        return start_around(int(voxels[chance.integers(len(voxels))]), shape, self.patch_size)

    def _centres(self, number: int, chance: np.random.Generator) -> Tensor | None:
        """The voxels to centre a patch on, as flat indices; None for anywhere."""
        if len(self.lesions[number]) and chance.random() < self.lesion_share:
            return self.lesions[number]
        return self.foregrounds[number] if chance.random() < self.foreground_share else None

    def _name(self, number: int) -> str:
        return name_of(self._cache, number)

    def _voxels(self, key: str, share: float) -> list[Tensor]:
        """The voxels of a region of each case, where any share of the patches is centred on it."""
        return [voxels_of(plain(item[key]) if share and key in item else None) for item in self._cache]

    def _require_centres(self) -> None:
        for number, voxels in enumerate(self.foregrounds):
            if self.foreground_share and not len(voxels):
                remedy = "correct the mask, or leave the case out"
                raise DataError(f"mask of case {self._name(number)}", "marks voxels to centre on", "none", remedy)
        if self.lesion_share and not any(map(len, self.lesions)):
            logger.warning("lesion_share %g: no case has a lesion to centre patches on", self.lesion_share)

    def _kept(self, number: int) -> dict[str, Any]:
        """What samples are cut from: padded images, and regions as booleans."""
        item = self._cache[number]
        images = {key: self._padded(plain(item[key])) for key in self.keys}
        regions = {key: self._padded(plain(item[key]) > 0, False) for key in self.regions if key in item}
        return {**images, **regions, "case": self._name(number)}

    def _padded(self, volume: Tensor, background: bool = True) -> Tensor:
        """A volume at least as large as the patch, or as whole patches of the grid."""
        counts = cells(volume.shape[1:], self.patch_size) if self.grid else (1, 1, 1)
        shape = [count * side for count, side in zip(counts, self.patch_size, strict=True)]
        return padded(volume, shape, background)


def _require(name: str, rule: str, value: Any, holds: bool) -> None:
    if not holds:
        raise ConfigError(name, rule, value, "correct it")
