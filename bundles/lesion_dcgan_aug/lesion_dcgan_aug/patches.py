"""Sets of patches in memory: loading of real patches, labels, synthesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from common.data.datalist import Item
from common.data.sample_requests import sample_seed
from common.errors import DataError

if TYPE_CHECKING:
    from lesion_dcgan_aug.latent import Latent

BATCH = 64


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


@torch.no_grad()
def synthesise(network: nn.Module, latent: Latent, label: int, count: int, seed: int, device: torch.device) -> Tensor:
    """Synthetic patches (count, 1, H, W) of a class on the CPU, with seeds derived from ``seed``."""
    network.to(device).eval()
    z = latent.seeded([sample_seed(seed, label, number) for number in range(count)])
    inputs = latent.labelled(z, label)
    return torch.cat([network(part.to(device)).cpu() for part in inputs.split(BATCH)])
