"""Adversarial training on a ring of eight Gaussians: how many of them the generator finds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from common.losses import AdversarialLoss
from common.networks.stabilise import comparing

MODES, DEVIATION, BATCH, WIDTH, LATENT = 8, 0.05, 32, 64, 16
STEPS = 3000
"""Of a whole training; the test takes a quarter."""
ANGLES = torch.arange(MODES) * 2 * torch.pi / MODES
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)


def modes(samples: Tensor) -> tuple[int, float]:
    """Gaussians with 1 % of the samples (N, 2) within three deviations, and the share of all such samples."""
    distance, nearest = torch.cdist(samples, CENTRES).min(dim=1)
    near = distance < 3 * DEVIATION
    return int((torch.bincount(nearest[near], minlength=MODES) >= 0.01 * len(samples)).sum()), float(
        near.float().mean()
    )


def trained(compares: bool, seed: int, steps: int) -> tuple[int, float]:
    """:func:`modes` of 2,500 samples after all steps, of a discriminator that compares the images of a batch or not."""
    torch.manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed + 100)
    generator = nn.Sequential(
        *(nn.Linear(LATENT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
    )
    discriminator = nn.Sequential(
        *(nn.Linear(2, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1))
    )
    if compares:
        discriminator[-1] = comparing(discriminator[-1])
    loss = AdversarialLoss()
    ours, theirs = (
        torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    for _ in range(steps):
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
    with torch.no_grad():
        return modes(generator(torch.randn(2500, LATENT)))


def test_modes_by_hand() -> None:
    samples = torch.cat([CENTRES[:2].repeat(50, 1), CENTRES[2:3] + 0.2, torch.zeros(99, 2)])
    assert modes(samples) == (2, pytest.approx(0.5))


@pytest.mark.slow
def test_minibatch_discrimination_finds_more_gaussians() -> None:
    for seed in (0, 1):
        (alone, _), (compared, _) = (trained(compares, seed, STEPS // 4) for compares in (False, True))
        assert compared >= alone + 3
