"""Adversarial training on a ring of eight Gaussians: how many of them the generator finds (docs/how-to)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.losses import AdversarialLoss
from common.networks.stabilise import stabilise

MODES, DEVIATION, BATCH, WIDTH, LATENT = 8, 0.05, 32, 64, 16
STEPS = 3000
"""Of the table in docs/how-to/stable-training.md."""
ANGLES = torch.arange(MODES) * 2 * torch.pi / MODES
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def modes(samples: Tensor) -> tuple[int, float]:
    """Gaussians with 1 % of the samples (N, 2) within three deviations, and the share of all such samples."""
    distance, nearest = torch.cdist(samples, CENTRES).min(dim=1)
    near = distance < 3 * DEVIATION
    return int((torch.bincount(nearest[near], minlength=MODES) >= 0.01 * len(samples)).sum()), float(
        near.float().mean()
    )


def trained(settings: dict[str, Any], seed: int, steps: int) -> list[tuple[int, float]]:
    """:func:`modes` of 2,500 samples after a quarter, a half and all of the steps, by settings of a discriminator."""
    torch.manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed + 100)
    generator = nn.Sequential(
        *(nn.Linear(LATENT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
    )
    discriminator = nn.Sequential(
        *(nn.Linear(2, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.LeakyReLU(0.2)),
        nn.Linear(WIDTH, 1),
    )
    stabilise(discriminator, **settings)
    loss, found = AdversarialLoss(), []
    ours, theirs = (
        torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    for step in range(1, steps + 1):
        fake = generator(torch.randn(BATCH, LATENT))
        centres = CENTRES[torch.randint(MODES, (BATCH,), generator=drawn)]
        real = centres + DEVIATION * torch.randn(BATCH, 2, generator=drawn)
        theirs.zero_grad()
        sum(loss.discriminator_losses("d", discriminator, real, fake.detach()).values()).backward()
        theirs.step()
        discriminator.requires_grad_(False)
        ours.zero_grad()
        loss.generator(discriminator(fake)).backward()
        ours.step()
        discriminator.requires_grad_(True)
        if step in (steps // 4, steps // 2, steps):
            with torch.no_grad():
                found.append(modes(generator(torch.randn(2500, LATENT))))
    return found


def test_modes_by_hand() -> None:
    samples = torch.cat([CENTRES[:2].repeat(50, 1), CENTRES[2:3] + 0.2, torch.zeros(99, 2)])
    assert modes(samples) == (2, pytest.approx(0.5))


@pytest.mark.slow
def test_minibatch_discrimination_finds_more_gaussians() -> None:
    for seed in (0, 1):
        (alone, _), (compared, _) = (
            trained({"norm": "none", "minibatch_discrimination": on}, seed, STEPS // 4)[-1] for on in (False, True)
        )
        assert compared >= alone + 3
