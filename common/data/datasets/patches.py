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
from monai.transforms import Compose
from torch import Tensor

from ...errors import ConfigError, DataError
from ...seeds import derive
from ...transforms.augment import augmented
from .cached_volumes import Item, PreprocessedCases, plain, require_one_shape, require_volumes
from .mapped import Packed, cut, made_once, packed
from .patch_positions import (
    cells,
    grid_start,
    last_starts,
    lesions_of,
    padded,
    start_around,
    voxels_of,
)
from .region_counts import disjoint, expected_counts

logger = logging.getLogger(__name__)


class VolumePatchDataset(PreprocessedCases):
    """Patches of all cases: at random positions, or on the grid that tiles each volume.

    Each case is preprocessed once a machine, and then takes 2 bytes per voxel of a channel with at most 65,536 values,
    else 4, 1 per voxel of a region, and 4 per candidate of a patch centre; see
    :class:`~common.data.datasets.cached_volumes.PreprocessedCases`. A volume smaller than the patch is padded at its
    ends, each channel with its minimum, which is background, and regions with 0.

    A patch is centred on a voxel of a lesion with probability ``lesion_share`` if the case has one; each lesion, a
    connected component of ``lesion``, is as likely as another, whatever its size. Otherwise it is centred on a voxel of
    ``mask`` with probability ``foreground_share``; otherwise its position is uniformly random. A patch that would
    exceed the volume is shifted inside and still contains the voxel.

    A sample is a function of (``seed``, epoch, index) only, independent of process and worker: index the dataset with
    the pairs ``(epoch, index)`` of :class:`common.data.samplers.EpochSampler`, or with an index for epoch 0. It has
    plain tensors (C, X, Y, Z) of the patch size for ``keys``, ``regions`` (zeros if the case has none, so that samples
    collate) and the ``context`` of :meth:`set_context`, and the ``case``.

    With ``regions`` it also has ``region_counts``, (regions + 1,) float32: how many voxels of each
    region, and of the rest, a patch of its case holds on average (a voxel of several regions belongs to the first).
    They are the case's own counts times the mean probability that a patch covers such a voxel: 1 / patches on the grid,
    more for a region that patches are centred on. Augmentation does not change them.

    ``scales`` has, for each case with a standardised label, its mean and standard deviation.

    Args:
        data: items with ``image``, ``label`` and ``case``.
        transform: preprocessing of the volumes, without random transforms; must give ``mask`` if patches are centred in
            it.
        augmentation: random transforms of a sample, the same for all its arrays.
        patch_size: voxels along X, Y, Z.
        patches_per_case: samples per case and epoch; not used with ``grid``.
        foreground_share: share centred in the mask, of the patches not centred on a lesion.
        lesion_share: share centred on the lesion, of the patches of a case with a lesion.
        grid: all patches that tile each volume, instead of random ones; each comes once per epoch, volumes are
            padded to whole patches, and background patches are included.
        regions: keys of region masks in a sample; (1, X, Y, Z), such as ``lesion``, ``nawm`` and ``mask``.
        seed: of patch positions and augmentation.
        keys: of the images in a sample.

    Raises:
        ConfigError: for a size, number or share out of range, or preprocessing that gives no image, label or mask,
            gives different shapes in a case, or is random, which cannot be cached.
        DataError: for an empty mask, if patches are centred in masks.
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
        keys: Sequence[str] = ("image", "label"),
    ) -> None:
        sides = list(patch_size)
        if len(sides) != 3 or min(sides) <= 0:
            raise ConfigError(f"--patch_size is {sides}", "give three positive numbers")
        if patches_per_case <= 0:
            raise ConfigError(f"--patches_per_case is {patches_per_case}, not above 0", "raise it")
        for name, share in (("foreground_share", foreground_share), ("lesion_share", lesion_share)):
            if not 0 <= share <= 1:
                raise ConfigError(f"{name} is {share}", "give a share from 0 to 1")
        self.patch_size = tuple(sides)
        self.foreground_share, self.lesion_share = (0.0, 0.0) if grid else (foreground_share, lesion_share)
        self.grid = grid
        self.regions = tuple(regions)
        super().__init__(data, transform, keys)
        self.seed = seed
        self.augmentation = augmentation if isinstance(augmentation, Compose) else Compose(augmentation or [])
        if self.lesion_share and not any(case["lesions"] for case in self._cache):
            logger.warning("lesion_share %g: no case has a lesion to centre patches on", self.lesion_share)
        self.shapes: list[tuple[int, ...]] = [case["shape"] for case in self._cache]
        self.scales = {case["case"]: case["scale"] for case in self._cache if case["scale"] is not None}
        counts = [prod(cells(shape, self.patch_size)) if grid else patches_per_case for shape in self.shapes]
        self.ends = list(accumulate(counts))

    def kept(self, number: int, item: Item) -> dict[str, Any]:
        """The padded images, regions as booleans, candidates of centres, and what is expected in a patch."""
        case = str(item.get("case", number))
        require_volumes(item, {*self.keys, *(["mask"] if self.foreground_share else [])}, case)
        # a lesion that no patch is centred on need not be loaded: the item has its path
        centred = ["lesion"] if self.lesion_share else []
        require_one_shape(item, (*self.keys, "mask", *centred, *self.regions), case)
        shape = tuple(item[self.keys[0]].shape[1:])
        lesions = lesions_of(plain(item["lesion"]) if centred and "lesion" in item else None)
        foreground = voxels_of(plain(item["mask"]) if self.foreground_share else None)
        if self.foreground_share and not len(foreground):
            fault = f"the mask of case {case} has no voxels to centre patches on"
            raise DataError(fault, "correct the mask, or exclude the case")
        images = {key: self._padded(plain(item[key])) for key in self.keys}
        regions = {key: self._padded(plain(item[key]) > 0, False) for key in self.regions if key in item}
        return {
            "case": case,
            "shape": shape,
            "lesions": lesions,
            "foreground": foreground,
            "counts": self._region_counts(regions, images[self.keys[0]].shape[1:], shape, lesions, foreground),
            "scale": plain(item["label_scale"]) if "label_scale" in item else None,
            "volumes": {key: packed(volume) for key, volume in {**images, **regions}.items()},
        }

    def volume(self, number: int, key: str = "image") -> Tensor:
        """The preprocessed volume (C, X, Y, Z) of a case without padding, such as for the inference of its context."""
        x, y, z = self.shapes[number]
        return cut(self._cache[number]["volumes"][key], lambda channel: channel[:, :x, :y, :z])

    def set_context(self, infer: Callable[[Tensor], Tensor]) -> None:
        """Add a volume to each case, such as the output of an earlier stage; samples then have ``context``.

        It is padded, cut and augmented like the others (transforms that name it need ``allow_missing_keys`` if other
        stages have none). Worker processes that are already running do not see the change.

        Args:
            infer: gives a volume (C', X, Y, Z) on the grid of an image (C, X, Y, Z), for each case once a machine.

        Raises:
            DataError: for another shape.
        """

        def make(number: int) -> Packed:
            volume, shape = infer(self.volume(number)), self.shapes[number]
            if volume.ndim != 4 or tuple(volume.shape[1:]) != shape:
                wanted = f"(channels, {', '.join(map(str, shape))}) of its image"
                name = self._cache[number]["case"]
                fault = f"context of case {name} has the shape {tuple(volume.shape)}, not {wanted}"
                raise DataError(fault, "infer it from volume()")
            return packed(self._padded(plain(volume).float()))

        contexts = made_once(make, [prod(shape) for shape in self.shapes], "outputs of the stage before")
        for case, context in zip(self._cache, contexts, strict=True):
            case["volumes"]["context"] = context

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:  # type: ignore[override]
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number = bisect_right(self.ends, index)
        case = self._cache[number]
        seed = derive(self.seed, epoch, index)
        start = self._start(number, index, np.random.default_rng(seed))
        x, y, z = (slice(first, first + side) for first, side in zip(start, self.patch_size, strict=True))
        sample = {name: cut(volume, lambda channel: channel[:, x, y, z]) for name, volume in case["volumes"].items()}
        for name in self.regions:
            sample[name] = sample[name].float() if name in sample else torch.zeros(1, *self.patch_size)
        sample = augmented(sample, self.augmentation, seed)
        counts = {"region_counts": case["counts"]} if self.regions else {}
        return {**{name: plain(volume) for name, volume in sample.items()}, **counts, "case": case["case"]}

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
        """Flat indices of the candidates for the centre of a patch; None for a uniformly random position."""
        lesions: list[Tensor] = self._cache[number]["lesions"]
        foreground: Tensor = self._cache[number]["foreground"]
        if lesions and chance.random() < self.lesion_share:
            return lesions[chance.integers(len(lesions))]
        return foreground if chance.random() < self.foreground_share else None

    def _region_counts(
        self,
        known: dict[str, Tensor],
        padded_shape: Sequence[int],
        shape: Sequence[int],
        lesions: Sequence[Tensor],
        foreground: Tensor,
    ) -> Tensor | None:
        """Expected voxels of each region, and of the rest, in a patch of a case."""
        if not self.regions:
            return None
        empty = torch.zeros(1, *padded_shape, dtype=torch.bool)
        regions = [known.get(key, empty) for key in self.regions]
        if self.grid:
            patches = prod(cells(shape, self.patch_size))
            return torch.stack([part.sum() / patches for part in disjoint(regions)])
        on_lesions = self.lesion_share if lesions else 0.0
        in_mask = (1 - on_lesions) * self.foreground_share
        draws: list[tuple[float, Tensor | None]] = [(on_lesions / len(lesions), voxels) for voxels in lesions]
        draws += [(in_mask, foreground)] if in_mask else []
        draws += [(1 - on_lesions - in_mask, None)]
        return expected_counts(regions, shape, self.patch_size, draws)

    def _padded(self, volume: Tensor, background: bool = True) -> Tensor:
        """A volume padded to at least the patch size, or to whole patches of the grid."""
        counts = cells(volume.shape[1:], self.patch_size) if self.grid else (1, 1, 1)
        shape = [count * side for count, side in zip(counts, self.patch_size, strict=True)]
        return padded(volume, shape, background)
