"""Residual CycleGAN with a third discriminator, of pairs of images, and the training data of its pair modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from common.data.datasets.slices import SliceDataset, UnpairedSliceDataset
from common.errors import ConfigError, choose
from common.losses import AdversarialLoss
from common.training.methods.base import Batch, Losses
from common.training.methods.cyclegan import CycleGan
from common.training.methods.image_pool import ImagePool

PAIR_MODES = ("registered", "cross", "off")
JITTER = 3
"""Largest shift of synthetic pairs in pixels in mode ``registered``: real pairs are never registered perfectly, and the
discriminator must not recognise them by that."""


def pairing(pair_mode: str, data: Mapping[str, Sequence[Any]]) -> str:
    """The mode to train in: ``auto`` is ``registered`` where the data have pairs, else ``cross``.

    Raises:
        ConfigError: for an unknown mode, or ``registered`` without pairs.
    """
    if pair_mode == "auto":
        return "registered" if data["training"] else "cross"
    if pair_mode not in PAIR_MODES:
        raise ConfigError(f"--pair_mode is {pair_mode!r}", choose(("auto", *PAIR_MODES)))
    if pair_mode == "registered" and not data["training"]:
        fault = "--pair_mode registered needs pairs of registered scans, and the data have none"
        raise ConfigError(fault, "list pairs under training, or pass --pair_mode cross, which needs none")
    return pair_mode


def sources(mode: str, cases: Mapping[str, Sequence[dict]]) -> Sequence[dict]:
    """Training cases of CECT: the pairs in mode ``registered``, else pool A."""
    return cases["training" if mode == "registered" else "training_A"]


def slices(mode: str, cases: Mapping[str, Sequence[dict]], data: Sequence[dict], **slicing: Any) -> Dataset:
    """Training slices: of pairs in mode ``registered``, else independently of two pools.

    Args:
        mode: of :func:`pairing`.
        cases: items by section.
        data: of :func:`sources`.
        **slicing: arguments of :class:`common.data.datasets.slices.SliceDataset`.
    """
    if mode == "registered":
        return SliceDataset(data, **slicing)
    return UnpairedSliceDataset(data, cases["training_B"], **slicing)


class ResCycleGan(CycleGan):
    """CycleGAN with a discriminator of pairs: A = CECT, B = CT (see the model card for choices not given by the paper).

    Named losses: ``adversarial``, ``cycle`` and ``identity`` of :class:`~common.training.methods.cyclegan.CycleGan`,
    ``pair`` = L_GAN'(G_AB, G_BA, D_C) on (CECT, CT) stacked as two channels:

    - ``registered``: real = (a, b) of one patient and slice; fake = (a, G_AB(a)) and (G_BA(b), b), half weight each,
      shifted against each other by a few pixels.
    - ``cross``: D_C classifies (a, G_AB(a)) as real and (G_BA(b), b) as fake; the generators aim for the opposite.
    - ``off``: no third discriminator.

    Losses with a function need pairs registered to the voxel, such as simulated ones, and train only G_AB. Vessels are
    1% of the voxels: with squared differences their hundreds of HU outweigh the small differences of all others, with
    absolute differences they do not.

    Discriminators see only what the generators can change: voxels whose source lies outside the window are set to -1,
    as are those within ``margin`` pixels of such a voxel. Otherwise bone and the partial-volume voxels at the edge of
    the skull would dominate the vessels.

    Args:
        discriminator_pair: of pairs, (B, 2, H, W) -> logits.
        pair_mode: see above.
        pool_size: of each discriminator's history.
        margin: pixels hidden from the discriminators around voxels outside the window.
        **cyclegan: arguments of :class:`common.training.methods.cyclegan.CycleGan`.

    Raises:
        ConfigError: a function has a weight in another mode than ``registered``.
    """

    terms = (*CycleGan.terms, "pair")
    adversarial_terms = (*CycleGan.adversarial_terms, "pair")

    def __init__(
        self,
        discriminator_pair: nn.Module,
        pair_mode: str,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
        pool_size: int = 50,
        margin: int = 1,
        **cyclegan: Any,
    ) -> None:
        self.paired = pair_mode == "registered"
        used = {name: loss for name, loss in losses.items() if name != "pair" or pair_mode != "off"}
        super().__init__(losses=used, adversarial_loss=adversarial_loss, pool_size=pool_size, **cyclegan)
        self.pair_mode = pair_mode
        self.margin = margin
        if self.uses("pair"):
            self.discriminators["discriminator_pair"] = discriminator_pair
            self.pools["pair_ab"] = ImagePool(pool_size)
            self.pools["pair_ba"] = ImagePool(pool_size)

    def seen(self, image: Tensor, source: Tensor) -> Tensor:
        """Discriminator input: the image clipped to the window, -1 near voxels whose source lies outside it."""
        beyond = (source.abs() > 1).to(image.dtype)
        hidden = F.max_pool2d(beyond, 2 * self.margin + 1, stride=1, padding=self.margin) > 0
        return torch.where(hidden, -torch.ones_like(image), image.clamp(-1, 1))

    def _synthetic_pairs(self, batch: Batch, fakes: Batch) -> tuple[Tensor, Tensor]:
        """(a, G_AB(a)) and (G_BA(b), b) as inputs of D_C."""
        a, b = (self.seen(batch[key], batch[key]) for key in ("image", "label"))
        fake_b, fake_a = self.seen(fakes["pred"], batch["image"]), self.seen(fakes["fake_a"], batch["label"])
        if self.pair_mode == "registered":
            fake_b, fake_a = _shifted(fake_b), _shifted(fake_a)
        return torch.cat([a, fake_b], dim=1), torch.cat([fake_a, b], dim=1)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Losses of CycleGAN's discriminators and of D_C."""
        losses = super().discriminator_losses(batch, fakes)
        if self.uses("pair"):
            ab, ba = self._synthetic_pairs(batch, fakes)
            pooled = [self.pools["pair_ab"](ab), self.pools["pair_ba"](ba)]
            if self.pair_mode == "registered":
                pooled.insert(0, torch.cat([self.seen(batch[key], batch[key]) for key in ("image", "label")], 1))
            losses |= self.adversarial_loss.discriminator_losses(
                "discriminator_pair", self.discriminator("pair"), *pooled
            )
        return losses

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """Losses of CycleGAN's generators, and the adversarial loss of D_C."""
        if name != "pair":
            return super().loss(name, batch, fakes)
        pairs, loss = self._synthetic_pairs(batch, fakes), self.adversarial_loss
        ab, ba = (self.discriminator("pair")(pair) for pair in pairs)
        return torch.stack([loss.generator(ab, wanted=self.pair_mode != "cross"), loss.generator(ba)]).mean()


def _shifted(image: Tensor) -> Tensor:
    """Batch shifted by up to ``JITTER`` pixels in each direction with repeated edges; drawn on the device."""
    height, width = image.shape[-2:]
    rows, columns = (torch.randint(2 * JITTER + 1, (), device=image.device) for _ in range(2))
    padded = F.pad(image, (JITTER,) * 4, mode="replicate")
    over = torch.arange(height, device=image.device) + rows
    across = torch.arange(width, device=image.device) + columns
    return padded.index_select(-2, over).index_select(-1, across)
