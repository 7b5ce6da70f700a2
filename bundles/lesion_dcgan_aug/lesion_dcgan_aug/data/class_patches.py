"""Patches in memory with their classes, and a training dataset with one patch of every class per sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.data.datalist import Item
from common.errors import ConfigError, DataError
from common.seeds import derive

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""(N, 1, H, W) in [-1, 1] and a random generator -> the same shape."""


def load_patches(items: Sequence[Item], preprocessing: Callable) -> Tensor:
    """Preprocessed patches (N, 1, H, W) in [-1, 1].

    Raises:
        DataError: ``items`` is empty.
    """
    if not items:
        raise DataError("no patches to load", "add cases to the section")
    images = [preprocessing(dict(item))["image"] for item in items]
    return torch.stack([image.as_tensor() if hasattr(image, "as_tensor") else image for image in images]).float()


def labels_of(items: Sequence[Item], classes: Sequence[str]) -> Tensor:
    """Class index of each item, (N,)."""
    return torch.tensor([list(classes).index(item["class"]) for item in items])


class ClassPatches(Dataset):
    """Dataset whose samples hold one patch of every class, so that a batch of B samples holds B patches of each.

    ``image`` is (K, H, W), channel k a patch of class k. An epoch visits each patch of the largest class ``views``
    times; patches of the other classes are drawn at random. A sample depends only on (``seed``, epoch, index).

    Args:
        data: items with ``image``, ``class`` and ``case``.
        transform: preprocessing to (1, H, W), without randomness.
        classes: in the order of channels.
        augmentation: applied to the patches of a sample, with independent parameters.
        seed: of drawing and augmentation.
        views: number of differently augmented views of a patch in an epoch.

    Raises:
        ConfigError: ``views`` is below 1.
        DataError: a class has no patch.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable,
        classes: Sequence[str],
        augmentation: Augmentation | None = None,
        seed: int = 0,
        views: int = 1,
    ) -> None:
        if views < 1:
            raise ConfigError(f"--views is {views}, below 1", "raise it")
        self.augmentation = augmentation
        self.seed = seed
        self.views = views
        self.members = [[i for i, item in enumerate(data) if item["class"] == name] for name in classes]
        for name, members in zip(classes, self.members, strict=True):
            if not members:
                raise DataError(f"class {name} has no patches to train on", "add some, or change --classes")
        self.names = [str(item["case"]) for item in data]
        self.patches = load_patches(data, transform)

    def __len__(self) -> int:
        return self.views * max(map(len, self.members))

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        largest = len(self) // self.views
        chosen = [
            members[index % largest if len(members) == largest else derive(self.seed, epoch, index, k) % len(members)]
            for k, members in enumerate(self.members)
        ]
        patches = self.patches[chosen]
        if self.augmentation is not None:
            patches = self.augmentation(patches, torch.Generator().manual_seed(derive(self.seed, epoch, index)))
        return {"image": patches[:, 0], "case": ", ".join(self.names[number] for number in chosen)}
