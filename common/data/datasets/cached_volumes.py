"""Datasets whose cases are preprocessed once, and checks of their volumes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from monai.data import CacheDataset
from monai.utils import ensure_tuple
from torch import Tensor

from ...errors import ConfigError, DataError
from ...transforms import LoadVolumed, WorkingSpacingd
from .mapped import made_once, mapped

Item = Mapping[str, Any]
"""A preprocessed case: volumes (C, X, Y, Z) by key, and the ``case``."""


def plain(volume: Any) -> Tensor:
    """A tensor without MONAI's metadata, which slows every operation."""
    return volume.as_tensor() if hasattr(volume, "as_tensor") else torch.as_tensor(volume)


def require_volumes(item: Item, needed: Collection[str], case: str) -> None:
    """Refuse a case without a needed volume, such as after a random transform, at which caching stops.

    Raises:
        ConfigError: naming the case and its missing volumes.
        DataError: for a case with an image, but no label.
    """
    if missing := set(needed) - item.keys():
        if "label" in missing and "image" in item:
            raise DataError(f"case {case} has no label", "add its target, or exclude the case")
        fault = f"preprocessing without random transforms gives no {' and no '.join(sorted(missing))} of case {case}"
        remedy = "add mask files, or set foreground_share to 0; move random transforms to augmentation"
        raise ConfigError(fault, remedy if missing == {"mask"} else remedy.rpartition("; ")[2])


def require_one_shape(item: Item, keys: Iterable[str], case: str) -> None:
    """Refuse a case whose volumes of these keys differ in shape (X, Y, Z).

    Raises:
        ConfigError: naming the case and its shapes.
    """
    shapes = {key: tuple(item[key].shape[1:]) for key in keys if key in item}
    if len(set(shapes.values())) > 1:
        fault = f"preprocessing gives volumes of case {case} different shapes, {shapes}"
        raise ConfigError(fault, "resample them to the image's grid")


class PreprocessedCases(CacheDataset):
    """Base class of datasets whose samples are cut from cases, of which :meth:`kept` says what is needed.

    Cases that need little are in memory, others in files; see :func:`common.data.datasets.mapped.made_once`.

    Args:
        data: items with a path for each of ``keys``, and ``case``.
        transform: preprocessing of the volumes, without random transforms.
        keys: of the images in a sample.
    """

    def __init__(self, data: Sequence[dict[str, Any]], transform: Callable[..., Any], keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        super().__init__(data, transform, progress=False, copy_cache=False)

    def kept(self, number: int, item: Item) -> dict[str, Any]:
        """What samples need of a case, as tensors, texts and numbers, or these in lists, tuples and dictionaries."""
        raise NotImplementedError

    def _fill_cache(self, indices: Any = None) -> list[Any]:
        def make(number: int) -> dict[str, Any]:
            return self.kept(number, self._load_cache_item(number))

        return made_once(make, self._sizes(), "training volumes")

    def _sizes(self) -> list[int]:
        """Voxels of the cases by their headers, at the working spacing; 1 each where one cannot be read."""
        steps = self.transform.flatten().transforms
        load = next((each for each in steps if isinstance(each, LoadVolumed)), None)
        if load is None:
            return [1] * len(self.data)
        spacing = next((each for each in steps if isinstance(each, WorkingSpacingd)), WorkingSpacingd(self.keys))
        sizes = []
        for item in self.data:
            paths = ensure_tuple(item[self.keys[0]])
            channels = load.reader.channels if self.keys[0] == "image" and len(paths) == 1 else None
            scan = load.reader.extent(paths[0], str(item.get("case", "")), channels)
            sizes.append(prod(spacing.shape_after(scan.values.shape[-3:], scan.affine)) if scan else 0)
        return sizes if all(sizes) else [1] * len(self.data)


class MappedCacheDataset(CacheDataset):
    """MONAI's ``CacheDataset`` with volumes in memory-mapped files, each process's own."""

    def _load_cache_item(self, idx: int) -> Any:
        item = super()._load_cache_item(idx)
        for value in item.values():
            if isinstance(value, Tensor):
                value.data = mapped(plain(value))[0]  # metadata stay
        return item
