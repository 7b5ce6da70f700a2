"""An unrolled reconstruction: small U-Nets in turn with the measured samples of k-space."""

from __future__ import annotations

import torch
from monai.apps.reconstruction.complex_utils import complex_abs_t
from monai.apps.reconstruction.networks.blocks.varnetblock import VarNetBlock
from monai.apps.reconstruction.networks.nets.utils import (
    divisible_pad_t,
    inverse_divisible_pad_t,
    reshape_channel_complex_to_last_dim,
    reshape_complex_to_channel_dim,
    sensitivity_map_reduce,
)
from monai.networks.blocks.fft_utils_t import fftn_centered_t, ifftn_centered_t
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from common.networks.strict_loading import refuse_other_weights

MULTIPLE = 16
"""The U-Nets halve the resolution four times."""
PHASE_WIDTH = 0.02
"""[chosen] standard deviation, over the width of k-space, of the Gaussian that leaves the smooth phase of an image."""
LEAST = 1.0e-6
"""Of a brightness of 1, what is taken as none."""


class UnrolledNetwork(nn.Module):
    """A variational network with small U-Nets (Sriram et al. 2020, MICCAI), of MONAI's blocks.

    Each cascade is k - w M (k - k0) - F S U(S* F^-1 k) with its own U-Net U and weight w, the mask M and sensitivities S.
    These are not learned: they are the coil images of low resolution over the root of their sum of squares, of a single
    coil its smooth phase. At last measured samples replace those of the network. U-Nets start at 0, so that the network
    starts as the zero-filled image.

    Input (B, C, H, W) as of :func:`mri_dagan.reader.channels_of`, scaled so that 0 becomes -1 and what is bright 1:
    zero-filled magnitude, real parts of the coil images and of the image of a point, their imaginary parts. The image
    of a point shows the mask; where it is 0, nothing is taken as measured. Output (B, 1, H, W), the magnitude of the
    restored slice on the same scale.

    Args:
        cascades: their number.
        width: features of the outermost level of a U-Net, twice as many in the next ones, at most eight times.
    """

    def __init__(self, cascades: int = 5, width: int = 8) -> None:
        super().__init__()
        self.cascades = nn.ModuleList([VarNetBlock(_Refinement(width)) for _ in range(cascades)])
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The restored slice."""
        return 2 * complex_abs_t(sensitivity_map_reduce(*self.kspace(x))) - 1

    def kspace(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The completed k-space and sensitivities of the coils, (B, coils, H, W, 2) each."""
        images = reshape_channel_complex_to_last_dim((x[:, 1:].float() + 1) / 2)
        made = measured = fftn_centered_t(images[:, :-1], spatial_dims=2)
        mask, sensitivities = mask_of(images[:, -1:]), _sensitivities(measured)
        for cascade in self.cascades:
            made = cascade(made, measured, mask, sensitivities)
        return torch.where(mask, measured, made), sensitivities


def mask_of(point: Tensor) -> Tensor:
    """Which samples are measured, (B, 1, H, W, 1), by the image of a point (B, 1, H, W, 2); none where it is 0."""
    density = complex_abs_t(fftn_centered_t(point, spatial_dims=2))[..., None]
    return density > density.amax(dim=(2, 3), keepdim=True) / 2


class _Refinement(nn.Module):
    """A U-Net of a complex image (B, 1, H, W, 2) of any size and brightness."""

    def __init__(self, width: int) -> None:
        super().__init__()
        features = [width * factor for factor in (1, 2, 4, 8, 8, 1)]
        self.unet = BasicUNet(spatial_dims=2, in_channels=2, out_channels=2, features=features)
        for value in self.unet.final_conv.parameters():
            nn.init.zeros_(value)

    def forward(self, image: Tensor) -> Tensor:
        """What is to be subtracted from the image."""
        brightness = image.square().mean(dim=(1, 2, 3, 4), keepdim=True).sqrt().clamp(min=LEAST)
        padded, sides = divisible_pad_t(reshape_complex_to_channel_dim(image / brightness), MULTIPLE)
        refined = inverse_divisible_pad_t(self.unet(padded), sides)
        return reshape_channel_complex_to_last_dim(refined.contiguous()) * brightness


def _sensitivities(kspace: Tensor) -> Tensor:
    """Sensitivities (B, C, H, W, 2) of coils with the smooth phase of the image, from the middle of their k-space."""
    rows, columns = (torch.arange(n, device=kspace.device) / n - n // 2 / n for n in kspace.shape[2:4])
    window = torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * PHASE_WIDTH**2))
    low = ifftn_centered_t(kspace * window[..., None], spatial_dims=2)
    return low / low.square().sum(dim=(1, 4), keepdim=True).sqrt().clamp(min=LEAST**2)
