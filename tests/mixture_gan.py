"""A GAN of points in the plane, drawn from eight Gaussians on a ring, and how many of these it finds."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from loss_settings import losses_of
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.losses import AdversarialLoss
from common.networks.stabilise import stabilise
from common.training import SynthesisTrainer
from common.training.methods.base import Batch, GanMethod, Losses

MODES, RADIUS, SPREAD, NOISE, BATCH = 8, 2.0, 0.1, 2, 64
ANGLES = torch.arange(MODES) * (2 * math.pi / MODES)
CENTRES = RADIUS * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def chain(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Two hidden layers."""
    hidden = [nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class MixtureGan(GanMethod):
    """From a Gaussian in the plane to the ring."""

    terms = GanMethod.adversarial_terms

    def __init__(self, weights: dict[str, float], network: dict[str, Any], loss: dict[str, Any]) -> None:
        discriminator = chain(2, 1)
        stabilise(discriminator, **network)
        adversarial_loss = AdversarialLoss(**loss)
        super().__init__(
            {"generator": chain(NOISE, 2)}, {"discriminator": discriminator}, losses_of(weights), adversarial_loss
        )
        self.adversary = adversarial_loss

    def generate(self, batch: Batch) -> Losses:
        return {"pred": self.deployed(torch.randn(len(batch["image"]), NOISE))}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        return self.adversary.discriminator_losses(
            "d", self.discriminators["discriminator"], batch["image"], fakes["pred"]
        )

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        discriminator, made = self.discriminators["discriminator"], fakes["pred"]
        if name == "adversarial":
            return self.adversary.generator(discriminator(self.adversary.noised(made)))
        return self.adversary.feature_matching(discriminator, batch["image"], made, paired=False)


class Ring(Dataset):
    """Batches of points of the mixture."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        centres = CENTRES[torch.randint(MODES, (BATCH,), generator=generator)]
        return {"image": centres + SPREAD * torch.randn(BATCH, 2, generator=generator)}


def found_by(
    steps: int = 1500,
    seed: int = 0,
    weights: dict[str, float] | None = None,
    network: dict[str, Any] | None = None,
    loss: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    rate: float = 1e-3,
) -> tuple[int, float]:
    """Modes that 2% of the samples lie at, and the share of samples at any of them, within three deviations."""
    torch.manual_seed(seed)
    method = MixtureGan(weights or {"adversarial": 1.0}, network or {}, {"discriminator_factor": 1.0, **(loss or {})})
    adam = partial(torch.optim.Adam, lr=rate, betas=(0.5, 0.9))
    run = SynthesisTrainer(
        "cpu", 1, torch.utils.data.DataLoader(Ring(steps), None), method, adam, seed=seed, **(trainer or {})
    )
    run.run()
    torch.manual_seed(1)
    with torch.no_grad():
        points = method.deployed(torch.randn(4000, NOISE))
    distance, mode = torch.cdist(points, CENTRES).min(dim=1)
    near = distance < 3 * SPREAD
    counts = torch.bincount(mode[near], minlength=MODES)
    return int((counts > 0.02 * len(points)).sum()), float(near.float().mean())
