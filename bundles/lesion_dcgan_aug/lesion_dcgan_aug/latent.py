"""Latent distribution, datasets of latent vectors for validation and inference, and synthesis from seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import Dataset
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.sample_requests import sample_seed
from lesion_dcgan_aug.data.class_patches import load_patches

BATCH = 64


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


class LatentDataset(Dataset):
    """Dataset of the latent vectors of some requests: network inputs (dim + K,) under ``image``.

    Args:
        data: items of :func:`common.data.sample_requests.requests`.
        latent: the distribution.
    """

    def __init__(self, data: Sequence[dict[str, Any]], latent: Latent) -> None:
        super().__init__(data)
        self.latent = latent

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item = self.data[index]
        z = self.latent.seeded([item["seed"]])[0]
        return {"image": self.latent.labelled(z, item["label"]), "case": item["case"]}


class ValidationLatents(Dataset):
    """Dataset of real patches under ``label`` with latent vectors of their class under ``image``, fixed for all epochs.

    A patch and its vector are unrelated: samples and real patches are compared as sets.

    Args:
        data: items with ``image`` and ``class``.
        transform: preprocessing to (1, H, W).
        latent: the distribution.
        classes: names in order.
    """

    def __init__(
        self, data: Sequence[dict[str, Any]], transform: Callable, latent: Latent, classes: Sequence[str]
    ) -> None:
        items = []
        for number, (item, patch) in enumerate(zip(data, load_patches(data, transform), strict=True)):
            label = list(classes).index(item["class"])
            z = latent.seeded([sample_seed(0, label, number)])[0]
            items.append({"image": latent.labelled(z, label), "label": patch, "case": item["case"]})
        super().__init__(items)


@torch.no_grad()
def synthesise(network: nn.Module, latent: Latent, label: int, count: int, seed: int, device: torch.device) -> Tensor:
    """Synthetic patches (count, 1, H, W) of a class on the CPU, with seeds derived from ``seed``."""
    network.to(device).eval()
    z = latent.seeded([sample_seed(seed, label, number) for number in range(count)])
    inputs = latent.labelled(z, label)
    return torch.cat([network(part.to(device)).cpu() for part in inputs.split(BATCH)])
