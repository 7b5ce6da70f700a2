"""Inpainting: a lesion of a class fills a hole of a patch, and the tissue around it goes on without a seam.

A context encoder (Pathak et al. 2016) with an adversary that sees what is to be drawn (Isola et al. 2017): the lesion's
outline and class. Of the hole only the rim around the lesion is compared with the real patch; the lesion itself has no
one true answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn import functional as F

from common.errors import DataError
from common.seeds import derive
from common.training.methods.conditional import ConditionalGan
from lesion_dcgan_aug.data.class_patches import Augmentation
from lesion_dcgan_aug.latent import Latent

RIM = 6
"""Pixels of the hole around the lesion."""
COARSE = 4
"""Side of the coarse noise before it is enlarged, for the parts of a lesion; fine noise is for the grain."""


def holed(patch: Tensor, lesion: Tensor, noise: Tensor) -> Tensor:
    """Patch with noise in the hole, the hole, and the lesion; each argument (1, H, W), the result (3, H, W)."""
    hole = F.max_pool2d(lesion[None], 2 * RIM + 1, 1, RIM)[0]
    return torch.cat([torch.where(hole > 0, noise, patch), hole, lesion])


def with_class(source: Tensor, label: int, classes: int) -> Tensor:
    """Input of the network (..., 2 + K, H, W) from (..., 3, H, W): the lesion is in the channel of its class."""
    one_hot = F.one_hot(torch.tensor(label), classes).to(source)[:, None, None]
    return torch.cat([source[..., :2, :, :], one_hot * source[..., 2:, :, :]], dim=-3)


def noise(side: int, seed: int) -> Tensor:
    """Noise (1, side, side) to fill the hole from: a coarse and a fine part."""
    coarse = torch.randn(1, 1, COARSE, COARSE, generator=torch.Generator().manual_seed(seed))
    fine = torch.randn(1, side, side, generator=torch.Generator().manual_seed(derive(seed, 0)))
    return (F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)[0] + fine) / 2


class Contexts(Latent):
    """Data set of patches with a hole around their lesion: to train on, and in the place of a latent distribution.

    An item has ``image`` (2 + K, H, W), ``label``, the real patch (1, H, W), and ``rim`` (1, H, W), the hole without
    the lesion. An epoch visits each patch ``views`` times; a view depends only on (``seed``, epoch, index).

    Args:
        data: items with ``image``, ``lesion``, ``class`` and ``case``.
        transform: preprocessing of both to (1, H, W).
        classes: names in order.
        augmentation: the same for patch and lesion.
        seed: of the views.
        views: number of views of a patch in an epoch.

    Raises:
        DataError: a patch has no mask of its lesion.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable,
        classes: Sequence[str],
        augmentation: Augmentation,
        seed: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__(classes=len(classes))
        if lacking := [str(item["case"]) for item in data if "lesion" not in item]:
            remedy = "cut the patches by synthesize datalist --layout rois --margin 0.4, and train on its datalist"
            raise DataError(f"{len(lacking)} patches have no mask of their lesion, first {lacking[0]}", remedy)
        self.data, self.augmentation, self.seed, self.views = data, augmentation, seed, views
        self.labels = [list(classes).index(item["class"]) for item in data]
        loaded = [transform({**item}) for item in data]
        pairs = [torch.cat([item[key] for key in ("image", "lesion")]).float() for item in loaded]
        self.pairs = [convert_to_tensor(pair, track_meta=False) for pair in pairs]

    def __len__(self) -> int:
        return self.views * len(self.pairs)

    def view(self, number: int, seed: int) -> tuple[Tensor, Tensor]:
        """A patch with a hole (3, H, W), and as it was (1, H, W), in a random view."""
        pair = self.augmentation(self.pairs[number][None], torch.Generator().manual_seed(seed))[0]
        patch, lesion = pair[:1], (pair[1:] > 0.5).to(pair)
        return holed(patch, lesion, noise(patch.shape[-1], seed)), patch

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number = index % len(self.pairs)
        source, patch = self.view(number, derive(self.seed, epoch, index))
        image = with_class(source, self.labels[number], self.classes)
        return {"image": image, "label": patch, "rim": source[1:2] - source[2:], "case": self.data[number]["case"]}

    def seeded(self, seeds: Sequence[int]) -> Tensor:
        """A patch with a hole for each seed, which chooses patch and view, (N, 3, H, W)."""
        return torch.stack([self.view(derive(seed, 1) % len(self.pairs), seed)[0] for seed in seeds])

    def labelled(self, z: Tensor, label: int) -> Tensor:
        """The network's inputs, (N, 2 + K, H, W)."""
        return with_class(z, label, self.classes)


class InpaintingGan(ConditionalGan):
    """A conditional GAN whose discriminator sees hole, outline and class, but not the noise that was drawn from."""

    def _seen(self, source: Tensor, target: Tensor) -> Tensor:
        return super()._seen(source[:, 1:], target)


def rim_l1(prediction: Tensor, target: Tensor, rim: Tensor) -> Tensor:
    """Mean absolute difference over the rim; all (B, 1, H, W)."""
    return ((prediction - target).abs() * rim).sum() / rim.sum().clamp_min(1)
