"""Deterministic removal of noise in any number of steps."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.schedulers import DDIMScheduler
from torch import Tensor

from ..errors import ConfigError


class DDIM(DDIMScheduler):
    """MONAI's scheduler for networks that find the noise, whose steps lead to its next time, whatever their number.

    MONAI's own step leads ``1000 // n`` times further, while its times are ``999 / (n - 1)`` apart: unless n divides
    1000, what the next step takes has more or less noise than that step removes.

    Args:
        steps: number of steps from noise alone to an image.
        num_train_timesteps: times of the training.
        **settings: of ``DDIMScheduler``.

    Raises:
        ConfigError: there is no step, or there are more steps than times.
    """

    def __init__(self, steps: int, num_train_timesteps: int = 1000, **settings: Any) -> None:
        super().__init__(num_train_timesteps, **settings)
        if not 1 <= steps <= num_train_timesteps:
            raise ConfigError(f"the steps of DDIM are {steps}, not 1 to {num_train_timesteps}", "pass 50, for example")
        self.set_timesteps(steps)

    def step(
        self,
        model_output: Tensor,
        timestep: int,
        sample: Tensor,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The images at the next time and the estimated clean ones (Song et al. 2021, eq. 12 without new noise).

        Args:
            model_output: noise that the network finds in ``sample``, of its shape.
            timestep: one of ``timesteps``.
            sample: images at that time, of any shape.
            eta: 0.
            generator: unused.
        """
        later = self.timesteps[self.timesteps < timestep]
        share = self.alphas_cumprod[timestep]
        next_share = self.alphas_cumprod[later[0]] if len(later) else self.final_alpha_cumprod
        clean = (sample - (1 - share) ** 0.5 * model_output) / share**0.5
        if self.clip_sample:
            clean = clean.clamp(*self.clip_sample_values)
        return next_share**0.5 * clean + (1 - next_share) ** 0.5 * model_output, clean
