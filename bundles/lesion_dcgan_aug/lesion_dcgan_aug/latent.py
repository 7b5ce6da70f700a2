"""Where samples come from: one latent distribution for training, validation and inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import CacheDataset, Dataset
from torch import Tensor
from torch.nn import functional as F

from common.errors import ConfigError
from common.seeds import derive


class Latent:
    """z ~ U[-1, 1]^dim (Frid-Adar et al. 2018), and its vector with a class for the deployed network.

    Args:
        dim: of z.
        classes: K.
    """

    def __init__(self, dim: int = 100, classes: int = 3) -> None:
        self.dim = dim
        self.classes = classes

    def draw(self, *shape: int, generator: torch.Generator | None = None, device: torch.device | None = None) -> Tensor:
        """(*shape, dim), from PyTorch's own source of chance or the one given."""
        return torch.rand(*shape, self.dim, generator=generator, device=device) * 2 - 1

    def seeded(self, seeds: Sequence[int]) -> Tensor:
        """One vector for each seed, (N, dim): whatever its neighbours, a seed gives the same."""
        return torch.stack([self.draw(generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def labelled(self, z: Tensor, label: int) -> Tensor:
        """Vectors (..., dim) with their one-hot class behind, (..., dim + K)."""
        one_hot = F.one_hot(torch.tensor(label), self.classes).to(z)
        return torch.cat([z, one_hot.expand(*z.shape[:-1], -1)], dim=-1)


def requests(classes: Sequence[str], samples: int, seed: int) -> list[dict[str, Any]]:
    """What to synthesise: ``samples`` of each class, each with a seed of its own that follows from ``seed``.

    Raises:
        ConfigError: for fewer than one sample.
    """
    if samples < 1:
        raise ConfigError("--samples", "is at least 1", samples, "raise it")
    return [
        {"case": f"{name}_{number:05d}", "class": name, "label": label, "seed": sample_seed(seed, label, number)}
        for label, name in enumerate(classes)
        for number in range(samples)
    ]


def sample_seed(seed: int, label: int, number: int) -> int:
    """The seed of one sample: the first hundred of a class are the same, however many are asked for."""
    return derive(seed, label, number)


class LatentDataset(Dataset):
    """The latent vectors of some requests, (dim + K,) under ``image``, which the network takes.

    Args:
        data: see :func:`requests`.
        latent: the distribution.
    """

    def __init__(self, data: Sequence[dict[str, Any]], latent: Latent) -> None:
        super().__init__(data)
        self.latent = latent

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item = self.data[index]
        z = self.latent.seeded([item["seed"]])[0]
        return {"image": self.latent.labelled(z, item["label"]), "case": item["case"]}


class ValidationLatents(CacheDataset):
    """Real patches under ``label``, each with a latent vector of its class under ``image``, the same at every epoch.

    The two have nothing to do with each other: they are compared as sets.

    Args:
        data: items with ``image`` and ``class``.
        transform: preprocessing to (1, H, W).
        latent: the distribution.
        classes: names in order.
        seed: of the vectors.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable,
        latent: Latent,
        classes: Sequence[str],
        seed: int = 0,
    ) -> None:
        super().__init__(data, transform, progress=False, copy_cache=False)
        self.latent = latent
        self.labels = [list(classes).index(item["class"]) for item in data]
        self.seed = seed

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        z = self.latent.seeded([sample_seed(self.seed, self.labels[index], index)])[0]
        patch = self._cache[index]["image"]
        patch = patch.as_tensor() if hasattr(patch, "as_tensor") else torch.as_tensor(patch)
        case = self.data[index]["case"]
        return {"image": self.latent.labelled(z, self.labels[index]), "label": patch, "case": case}
