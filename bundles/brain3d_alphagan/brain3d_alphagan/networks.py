"""Networks of the alpha-WGAN-GP: a generator with its encoder, and the two critics (Kwon et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import VarAutoEncoder
from torch import Tensor, nn
from torch.nn import functional as F

from common.networks.stabilise import stabilise

SIDE = 64
"""Voxels along each axis of an image."""
NORM = "instance"
"""Batch normalisation, as published, mixes the statistics of noise and of codes: at inference samples were empty."""


class BrainGenerator(nn.Module):
    """Base of the deployed networks: noise to an image (B, 1, 64, 64, 64) in [-1, 1], and images back.

    Args:
        latent_shape: of the noise of one image, which is standard normal.
    """

    def __init__(self, latent_shape: Sequence[int]) -> None:
        super().__init__()
        self.latent_shape = tuple(latent_shape)

    def encode(self, image: Tensor) -> Tensor:
        """The noise, (B, ...) of ``latent_shape``, that gives images (B, 1, 64, 64, 64) again."""
        raise NotImplementedError

    def reconstruct(self, image: Tensor) -> Tensor:
        """Images (B, 1, 64, 64, 64) encoded and generated again."""
        made: Tensor = self(self.encode(image))
        return made


def image_layers(width: int, out_channels: int) -> nn.Sequential:
    """Image (B, 1, 64, 64, 64) to (B, out_channels, 1, 1, 1): encoder and critic are the same five convolutions.

    Args:
        width: features of the first layer, doubled by each of the next three.
        out_channels: length of the code; 1 for the critic.
    """
    widths = [width * factor for factor in (1, 2, 4, 8)]
    layers: list[nn.Module] = []
    for before, after in zip([1, *widths], widths, strict=False):
        norm = [nn.BatchNorm3d(after)] if layers else []
        layers += [nn.Conv3d(before, after, 4, 2, 1), *norm, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(widths[-1], out_channels, 4))


class ImageCritic(nn.Module):
    """Critic of images: (B, 1, 64, 64, 64) -> (B, 1, 1, 1, 1).

    Args:
        width: features of the first layer.
        norm: of the three layers in the middle: ``instance`` or ``none``; ``batch`` is as published, and
            excluded by the gradient penalty.
        spectral_norm: divide each layer's weights by their largest singular value.
    """

    def __init__(
        self,
        width: int = 64,
        norm: str = "instance",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.layers = image_layers(width, 1)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, image: Tensor) -> Tensor:
        """Scores of images."""
        scores: Tensor = self.layers(image)
        return scores


class DoubledConvolution(nn.Conv3d):
    """Doubling by nearest neighbour and a convolution of 3^3 voxels without bias, (B, C, S, S, S) -> (B, C', 2S, ...).

    The same as both in turn, but computed at S^3: a doubled voxel falls on two of three taps, so that the eight
    positions in a doubled voxel are eight filters. On a CPU ten times as fast for one channel at 64^3.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """The convolution of the doubled image."""
        filters = self.weight[:, None]  # (C', positions, C, 3, 3, 3)
        for axis in (-3, -2, -1):
            taps = filters.unbind(axis)
            none = torch.zeros_like(taps[0])
            first = torch.stack([taps[0], taps[1] + taps[2], none], axis)
            second = torch.stack([none, taps[0] + taps[1], taps[2]], axis)
            filters = torch.stack([first, second], 2).flatten(1, 2)
        made = F.conv3d(image, filters.flatten(0, 1), padding=1).unflatten(1, (self.out_channels, 2, 2, 2))
        return made.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)


class AutoEncodingGenerator(BrainGenerator):
    """Generator, and the encoder that makes it an auto-encoder, (B, latent_dim) -> (B, 1, 64, 64, 64).

    A transposed convolution gives 4^3 voxels, each of the next four doublings by nearest neighbour is followed by a
    convolution of 3^3 voxels.

    Args:
        latent_dim: length of the code.
        width: features at 32^3 voxels; 8 times as many at 4^3. The encoder has as many at 32^3.
    """

    def __init__(self, latent_dim: int = 1000, width: int = 64) -> None:
        super().__init__([latent_dim])
        widths = [width * factor for factor in (8, 4, 2, 1)]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_dim, 1, 1, 1)),
            nn.ConvTranspose3d(latent_dim, widths[0], 4, bias=False),
            nn.BatchNorm3d(widths[0]),
            nn.ReLU(),
        ]
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Upsample(scale_factor=2.0), nn.Conv3d(before, after, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm3d(after), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, DoubledConvolution(widths[-1], 1), nn.Tanh())
        stabilise(self.decoder, NORM)
        self.encoder = image_layers(width, latent_dim)
        stabilise(self.encoder, NORM)

    def forward(self, noise: Tensor) -> Tensor:
        """Images of some noise."""
        made: Tensor = self.decoder(noise)
        return made

    def encode(self, image: Tensor) -> Tensor:
        """The codes of images."""
        code: Tensor = self.encoder(image).flatten(1)
        return code


class CodeCritic(nn.Sequential):
    """Critic of codes, which are to be standard normal: (B, latent_dim) -> (B, 1).

    Args:
        latent_dim: length of the code.
        units: of each hidden layer.
    """

    def __init__(self, latent_dim: int = 1000, units: int = 4096) -> None:
        layers: list[nn.Module] = []
        for before in (latent_dim, units):
            layers += [nn.Linear(before, units), nn.LayerNorm(units), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(units, 1))
        self.latent_shape = (latent_dim,)


class VariationalGenerator(BrainGenerator):
    """MONAI's ``VarAutoEncoder`` as a generator: the decoder is deployed, (B, latent_dim) -> (B, 1, 64, 64, 64).

    Args:
        latent_dim: length of the code.
        width: features at 32^3 voxels, doubled by each of the next three levels.
    """

    def __init__(self, latent_dim: int = 1000, width: int = 64) -> None:
        super().__init__([latent_dim])
        channels, strides = [width * factor for factor in (1, 2, 4, 8)], (2, 2, 2, 2)
        self.net = VarAutoEncoder(3, (1, SIDE, SIDE, SIDE), 1, latent_dim, channels, strides, use_sigmoid=False)

    def forward(self, noise: Tensor) -> Tensor:
        """Images of some noise."""
        return self.net.decode_forward(noise, use_sigmoid=False).tanh()

    def encode(self, image: Tensor) -> Tensor:
        """The means of the posterior."""
        return self.net.encode_forward(image)[0]
