"""Latent distribution and datasets of latent vectors for training, validation and inference."""

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
    """Latent distribution z ~ U[-1, 1]^dim (Frid-Adar et al. 2018), with one-hot classes for the deployed network.

    Args:
        dim: dimension of z.
        classes: number of classes K.
    """

    def __init__(self, dim: int = 100, classes: int = 3) -> None:
        self.dim = dim
        self.classes = classes

    def draw(self, *shape: int, generator: torch.Generator | None = None, device: torch.device | None = None) -> Tensor:
        """Random vectors ``(*shape, dim)``, from ``generator`` or PyTorch's default generator."""
        return torch.rand(*shape, self.dim, generator=generator, device=device) * 2 - 1

    def seeded(self, seeds: Sequence[int]) -> Tensor:
        """One vector for each seed, (N, dim), independent of the other seeds."""
        return torch.stack([self.draw(generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def labelled(self, z: Tensor, label: int) -> Tensor:
        """Vectors (..., dim) followed by their one-hot class, (..., dim + K)."""
        one_hot = F.one_hot(torch.tensor(label), self.classes).to(z)
        return torch.cat([z, one_hot.expand(*z.shape[:-1], -1)], dim=-1)


def requests(
    classes: Sequence[str], samples: int, seed: int, interpolate: list[int] | None = None
) -> list[dict[str, Any]]:
    """Samples to synthesise: ``samples`` items of each class, each with its own seed derived from ``seed``.

    Args:
        classes: names in order.
        samples: number of each class.
        seed: of all of them.
        interpolate: [a, b, n] for n items of each class instead, whose vectors go from that of sample a to that of
            sample b in equal steps, both included.

    Raises:
        ConfigError: ``samples`` is below 1, or ``interpolate`` is none of this.
    """
    if interpolate is not None:
        numbers = [number for number in interpolate if type(number) is int] if isinstance(interpolate, list) else []
        if len(numbers) != 3 or len(interpolate) != 3 or min(numbers) < 0 or numbers[2] < 2:
            fault = f"--interpolate is {interpolate}"
            raise ConfigError(fault, "give two numbers of samples, from 0, and 2 or more steps")
        first, last, steps = interpolate
        return [
            {"case": f"{name}_{first}_{last}_{step:03d}", "class": name, "label": label, "fraction": step / (steps - 1),
             "seed": sample_seed(seed, label, first), "seed_to": sample_seed(seed, label, last)}
            for label, name in enumerate(classes)
            for step in range(steps)
        ]  # fmt: skip
    if samples < 1:
        raise ConfigError(f"--samples is {samples}, below 1", "raise it")
    return [
        {"case": f"{name}_{number:05d}", "class": name, "label": label, "seed": sample_seed(seed, label, number)}
        for label, name in enumerate(classes)
        for number in range(samples)
    ]


def sample_seed(seed: int, label: int, number: int) -> int:
    """Seed of one sample, independent of the number of samples."""
    return derive(seed, label, number)


class LatentDataset(Dataset):
    """Dataset of the latent vectors of some requests: network inputs (dim + K,) under ``image``.

    Args:
        data: items of :func:`requests`.
        latent: the distribution.
    """

    def __init__(self, data: Sequence[dict[str, Any]], latent: Latent) -> None:
        super().__init__(data)
        self.latent = latent

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item = self.data[index]
        z = self.latent.seeded([item["seed"]])[0]
        if "seed_to" in item:
            z = torch.lerp(z, self.latent.seeded([item["seed_to"]])[0], item["fraction"])
        return {"image": self.latent.labelled(z, item["label"]), "case": item["case"]}


class ValidationLatents(CacheDataset):
    """Dataset of real patches under ``label`` with latent vectors of their class under ``image``, fixed for all epochs.

    A patch and its vector are unrelated: samples and real patches are compared as sets.

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
