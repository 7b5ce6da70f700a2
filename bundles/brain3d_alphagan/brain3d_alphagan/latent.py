"""Noise of samples: data sets of it for validation and inference, and the network that draws or reconstructs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from brain3d_alphagan.networks import BrainGenerator
from common.data.datalist import Item
from common.data.datasets.cached_volumes import MappedCacheDataset, plain
from common.data.sample_requests import requests, sample_seed
from common.data.sources import inference_cases
from common.errors import DataError

KIND = "brain"
"""Name of samples in files; there are no classes."""


def noise_of(seed: int, shape: Sequence[int]) -> Tensor:
    """Standard normal noise of a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def items_of(samples: int, seed: int, reconstruct: str | None, **cases: Any) -> list[Item]:
    """What to synthesise: samples, or the cases of a file or folder.

    Args:
        samples: number of them; sample ``i`` depends only on ``seed`` and ``i``.
        seed: of all samples.
        reconstruct: a volume, a DICOM series, or a folder of them, to encode and generate again.
        **cases: further arguments of :func:`common.data.sources.inference_cases`.

    Raises:
        DataError: there is nothing to reconstruct.
    """
    if reconstruct is not None:
        if not Path(reconstruct).exists():
            raise DataError(f"no file or folder {reconstruct} (from --reconstruct)", "check the path")
        return inference_cases(str(reconstruct), source="t1", seed=seed, **cases)
    return requests([KIND], samples, seed)


class NoiseDataset(Dataset[dict[str, Any]]):
    """Inputs of an inference under ``image``: noise of requested samples, or preprocessed cases to reconstruct.

    Args:
        data: items of :func:`items_of`.
        network: whose noise it is.
        transform: preprocessing of cases.
    """

    def __init__(self, data: Sequence[Item], network: BrainGenerator, transform: Callable[..., Any]) -> None:
        self.data = data
        self.shape = network.latent_shape
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.data[index]
        if "seed" not in item:
            return {"image": self.transform(dict(item))["image"], "case": item["case"]}
        return {"image": noise_of(item["seed"], self.shape), "case": item["case"]}


class ValidationNoise(MappedCacheDataset):
    """Real images under ``label`` with noise under ``image``, the same at each validation; the two are unrelated.

    A single image counts twice: the metric compares sets.

    Args:
        data: items with ``image``.
        network: whose noise it is.
        transform: preprocessing.
    """

    def __init__(self, data: Sequence[Item], network: BrainGenerator, transform: Callable[..., Any]) -> None:
        super().__init__(data, transform, progress=False, copy_cache=False)
        self.shape = network.latent_shape

    def __len__(self) -> int:
        return max(len(self._cache), 2) if self._cache else 0

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item: Mapping[str, Any] = self._cache[index % len(self._cache)]
        noise = noise_of(sample_seed(0, 0, index), self.shape)
        return {"image": noise, "label": plain(item["image"]), "case": item["case"]}


class Deployed(nn.Module):
    """A network as an inference uses it: images of noise, or reconstructions of images.

    Args:
        network: to use.
        reconstruct: what is reconstructed; None for samples.
    """

    def __init__(self, network: BrainGenerator, reconstruct: str | None = None) -> None:
        super().__init__()
        self.network = network
        self.reconstruct = reconstruct

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (B, 1, 64, 64, 64) in [-1, 1]."""
        made: Tensor = self.network(inputs) if self.reconstruct is None else self.network.reconstruct(inputs)
        return made
