"""Diffusion of an autoencoder's latent maps by MONAI's parts, as a network from noise to image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.inferers import DiffusionInferer
from monai.networks.nets.autoencoderkl import AutoencoderKL
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

from brain3d_alphagan.networks import SIDE, BrainGenerator
from common.networks.ddim import DDIM

TIMES = 1000
"""Steps of the noising process (Ho et al. 2020)."""
SCHEDULE: dict[str, Any] = {"schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195}
"""Variances of the noise, those of MONAI's 3-D tutorials."""
GROUPS = 8
"""Of the group normalisation."""
LATENT_CHANNELS = 3
FOLLOWED = 0.05
"""Share of a step in the moving average of the latent maps' standard deviation."""


class LatentDiffusionGenerator(BrainGenerator):
    """Diffusion of the latent maps of MONAI's ``AutoencoderKL`` (Rombach et al. 2022; 3-D brains: Pinaya et al. 2022).

    ``DiffusionModelUNet`` is trained with ``DDPMScheduler`` and deployed with ``DDIM`` (Song et al. 2021), which gives
    one image for each noise, so that seeds mean what they do for other generators. The autoencoder is trained at the
    same time, the diffusion on maps that its gradient does not reach, in units of their standard deviation, a moving
    average. (B, LATENT_CHANNELS, 16, 16, 16) -> (B, 1, 64, 64, 64).

    Args:
        channels: of the U-Net's levels, multiples of ``GROUPS``.
        steps: of DDIM.
        autoencoder_channels: at 64^3, 32^3 and 16^3 voxels.
    """

    deviation: Tensor

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256),
        steps: int = 50,
        autoencoder_channels: Sequence[int] = (32, 64, 64),
    ) -> None:
        halvings = len(autoencoder_channels) - 1
        super().__init__([LATENT_CHANNELS, *[SIDE // 2**halvings] * 3])
        self.denoiser = DiffusionModelUNet(
            3, LATENT_CHANNELS, LATENT_CHANNELS, channels=channels, num_res_blocks=1, norm_num_groups=GROUPS,
            attention_levels=[False] * (len(channels) - 1) + [True], num_head_channels=channels[-1],
        )  # fmt: skip
        self.noising = DDPMScheduler(TIMES, **SCHEDULE)
        self.sampling = DDIM(steps, TIMES, **SCHEDULE, clip_sample=False)
        self.autoencoder = AutoencoderKL(
            3, channels=autoencoder_channels, num_res_blocks=[1] * (halvings + 1), latent_channels=LATENT_CHANNELS,
            attention_levels=[False] * (halvings + 1), norm_num_groups=GROUPS, with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )  # fmt: skip
        self.register_buffer("deviation", torch.ones(()))

    def denoised(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """The noise that the network finds in maps with random noise of a random time, and that noise."""
        noise = torch.randn_like(clean)
        times = torch.randint(TIMES, (len(clean),), device=clean.device)
        return DiffusionInferer(self.noising)(clean, self.denoiser, noise, times), noise

    def follow(self, maps: Tensor) -> None:
        """Take the standard deviation of some latent maps into the moving average."""
        self.deviation.lerp_(maps.detach().float().std(), FOLLOWED)

    def forward(self, noise: Tensor) -> Tensor:
        """Images of some noise."""
        maps: Any = DiffusionInferer(self.sampling).sample(noise, self.denoiser, verbose=False)
        return self.autoencoder.decode(maps * self.deviation).clamp(-1, 1)

    def reconstruct(self, image: Tensor) -> Tensor:
        """Images through the autoencoder alone."""
        return self.autoencoder.decode(self.autoencoder.encode(image)[0]).clamp(-1, 1)
