"""Removal of noise with the exact denoiser of Gaussian images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import DiffusionInferer
from monai.networks.schedulers import DDIMScheduler

from common.errors import ConfigError
from common.networks.ddim import DDIM

DEVIATION = 0.25
"""Standard deviation of the images."""


def kept_share(time: float) -> float:
    """Share of the image's variance at a time, by the definition of MONAI's linear schedule."""
    return float(np.prod(1 - np.linspace(1e-4, 2e-2, 1000)[: int(time) + 1]))


class ExactDenoiser(torch.nn.Module):
    """The expected noise in images of N(0, DEVIATION) with noise of a time."""

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, context: None = None) -> torch.Tensor:
        share = kept_share(timesteps.item())
        return x * (1 - share) ** 0.5 / (share * DEVIATION**2 + 1 - share)


@pytest.mark.parametrize("steps", [2, 7, 50, 64, 250, 300, 333, 400, 501, 600, 999, 1000])
def test_no_noise_is_left_whatever_the_number_of_steps(steps: int) -> None:
    """In each step an image is scaled by a factor that arithmetic gives; many steps leave the images' deviation."""
    noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoiser: Any = ExactDenoiser()
    made: Any = DiffusionInferer(DDIM(steps, clip_sample=False)).sample(noise, denoiser, verbose=False)
    shares = [*(kept_share(np.round(time)) for time in np.linspace(999, 0, steps)), 1.0]
    expected = float(noise.std())
    for share, after in zip(shares[:-1], shares[1:], strict=True):
        found = (1 - share) ** 0.5 / (share * DEVIATION**2 + 1 - share)
        clean = (1 - (1 - share) ** 0.5 * found) / share**0.5
        expected *= after**0.5 * clean + (1 - after) ** 0.5 * found
    assert made.std() == pytest.approx(expected, rel=1e-3)
    if steps >= 250:
        assert made.std() == pytest.approx(DEVIATION, abs=0.01)


def test_a_thousand_steps_are_those_of_monai() -> None:
    own, theirs = DDIM(1000), DDIMScheduler()
    x, noise = torch.randn(2, 1, 8, 8, 8), torch.randn(2, 1, 8, 8, 8)
    for time in (999, 500, 1, 0):
        torch.testing.assert_close(own.step(noise, time, x), theirs.step(noise, time, x))


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_impossible_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match=f"the steps of DDIM are {steps}, not 1 to 1000: pass 50"):
        DDIM(steps)
