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
"""[chosen] standard deviation of the Gaussian window that gives images of low resolution, over the width of k-space."""
LEAST = 1.0e-6
"""Brightness that counts as none, where bright tissue has 1."""


class UnrolledNetwork(nn.Module):
    """A variational network with small U-Nets (Sriram et al. 2020, MICCAI), built from MONAI's blocks.

    A cascade computes k - w M (k - k0) - F S U(S* F^-1 k) from a k-space k, measured samples k0 and their mask M, by
    its own U-Net U and weight w. The sensitivities S are not learned: coil images of low resolution over the root of
    their sum of squares, for one coil its smooth phase. After the last cascade the measured samples replace those of
    the network. The last layer of each U-Net starts at 0, so that the network starts as the zero-filled image.

    Input (B, 3 + 2 coils, H, W), of any size: channels of :func:`mri_dagan.kspace_scan.channels_of`, scaled so that 0
    becomes -1. Where the image of the point is 0, no sample counts as measured. Output (B, 1, H, W), the magnitude of
    the restored slice on the same scale.

    Args:
        cascades: their number.
        width: features of the outermost level of a U-Net, twice as many in the next ones, at most eight times.

    Attributes:
        channel_names: what the input has of a single coil, for metadata: no convolution of the network takes it.
    """

    channel_names = (
        "magnitude MR with aliasing",
        "real part of the image of the coil",
        "real part of the image of the point",
        "imaginary part of the image of the coil",
        "imaginary part of the image of the point",
    )

    def __init__(self, cascades: int = 5, width: int = 8) -> None:
        super().__init__()
        self.cascades = nn.ModuleList([VarNetBlock(_Refinement(width)) for _ in range(cascades)])
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The restored slice."""
        restored = sensitivity_map_reduce(*self.kspace(x)).contiguous()
        return 2 * torch.view_as_complex(restored).abs() - 1  # complex_abs_t has no finite slope at 0

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
        brightness = image.square().mean(dim=(1, 2, 3, 4), keepdim=True).clamp(min=LEAST**2).sqrt()
        padded, sides = divisible_pad_t(reshape_complex_to_channel_dim(image / brightness), MULTIPLE)
        refined = inverse_divisible_pad_t(self.unet(padded), sides)
        return reshape_channel_complex_to_last_dim(refined.contiguous()) * brightness


def _sensitivities(kspace: Tensor) -> Tensor:
    """Sensitivities (B, C, H, W, 2) of coils with the smooth phase of the image, from the middle of their k-space."""
    rows, columns = (torch.arange(n, device=kspace.device) / n - n // 2 / n for n in kspace.shape[2:4])
    window = torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * PHASE_WIDTH**2))
    low = ifftn_centered_t(kspace * window[..., None], spatial_dims=2)
    return low / low.square().sum(dim=(1, 4), keepdim=True).sqrt().clamp(min=LEAST**2)
