"""Progressive growing of GANs (Karras et al. 2018), as Baur et al. 2018 used it for skin lesions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.networks.strict_loading import refuse_other_weights

SMALLEST = 4
"""Pixels a side of the first level; each further level doubles them."""


class Equalised(nn.Module):
    """A layer with weights N(0, 1), which He's constant scales in use: all learn at one speed (section 4.1).

    Args:
        layer: convolution or fully connected layer.
        gain: squared, the factor on the variance of a sum that is kept.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        nn.init.normal_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        self.layer = layer
        self.scale = gain / math.sqrt(layer.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return self.layer(x * self.scale)


class PixelNorm(nn.Module):
    """Divides the features of each pixel by their root mean square (section 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> the same shape."""
        return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class BatchDeviation(nn.Module):
    """Adds a channel: the standard deviation of a feature over the batch, averaged over all (section 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 1, H, W)."""
        deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


def _features(width: int, levels: int) -> list[int]:
    """Of each level, the finest last; the published 128 gives 512-512-512-512-256-128."""
    return [min(width * 2 ** (levels - 1 - level), 4 * width) for level in range(levels)]


def _convolution(before: int, after: int, normalised: bool) -> list[nn.Module]:
    norm: list[nn.Module] = [PixelNorm()] if normalised else []
    return [Equalised(nn.Conv2d(before, after, 3, padding=1)), nn.LeakyReLU(0.2), *norm]


class Grown(nn.Module):
    """Base of networks of several levels. ``grown`` is the finest level in use; a fraction fades it in.

    Args:
        levels: from 4 x 4 to 4 * 2 ** (levels - 1) pixels a side.
    """

    grown: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("grown", torch.tensor(float(levels - 1)))

    def level(self) -> tuple[int, float]:
        """The finest level in use, and its share of the result."""
        grown = float(self.grown)
        level = math.ceil(grown)
        return level, grown - level + 1


class ProgressiveGenerator(Grown):
    """Generator of RGB patches, of all levels in use, at the size of the last one.

    Args:
        latent_dim: of z, which is normalised; what follows it in an input, the one class, is not used.
        width: features of the finest level.
        levels: 6 for 128 x 128.
    """

    def __init__(self, latent_dim: int = 100, width: int = 128, levels: int = 6) -> None:
        super().__init__(levels)
        self.latent_dim = latent_dim
        features = _features(width, levels)
        start = Equalised(nn.Linear(latent_dim, features[0] * SMALLEST**2), math.sqrt(2) / 4)
        shape = nn.Unflatten(1, (features[0], SMALLEST, SMALLEST))
        first = [PixelNorm(), start, shape, nn.LeakyReLU(0.2), PixelNorm()]
        self.blocks = nn.ModuleList([nn.Sequential(*first, *_convolution(features[0], features[0], True))])
        for before, after in zip(features, features[1:], strict=False):
            layers = [*_convolution(before, after, True), *_convolution(after, after, True)]
            self.blocks.append(nn.Sequential(nn.Upsample(scale_factor=2), *layers))
        self.to_rgb = nn.ModuleList(Equalised(nn.Conv2d(count, 3, 1), 1.0) for count in features)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, latent_dim + 1) -> (B, 3, side, side) about in [-1, 1]."""
        level, share = self.level()
        features = before = x[:, : self.latent_dim]
        for block in self.blocks[: level + 1]:
            features, before = block(features), features
        made = self.to_rgb[level](features)
        if share < 1:
            made = torch.lerp(F.interpolate(self.to_rgb[level - 1](before), scale_factor=2.0), made, share)
        return F.interpolate(made, size=(SMALLEST * 2 ** (self.levels - 1),) * 2)

    @torch.jit.unused
    def per_class(self, z: Tensor) -> Tensor:
        """As in training: (B, 1, latent_dim) -> (B, 3, side, side)."""
        made: Tensor = self(z[:, 0])
        return made


class ProgressiveDiscriminator(Grown):
    """Critic of patches at the finest level in use, (B, 3, 4 * 2 ** level, ...) -> (B, 1).

    Args:
        width, levels: of :class:`ProgressiveGenerator`.
    """

    def __init__(self, width: int = 128, levels: int = 6) -> None:
        super().__init__(levels)
        features = _features(width, levels)
        rgb = [Equalised(nn.Conv2d(3, count, 1)) for count in features]
        self.from_rgb = nn.ModuleList(nn.Sequential(layer, nn.LeakyReLU(0.2)) for layer in rgb)
        count = features[0]
        flat = [nn.Flatten(), Equalised(nn.Linear(count * SMALLEST**2, count)), nn.LeakyReLU(0.2)]
        last = [*_convolution(count + 1, count, False), *flat, Equalised(nn.Linear(count, 1), 1.0)]
        self.blocks = nn.ModuleList([nn.Sequential(BatchDeviation(), *last)])
        for coarser, own in zip(features, features[1:], strict=False):
            layers = [*_convolution(own, own, False), *_convolution(own, coarser, False)]
            self.blocks.append(nn.Sequential(*layers, nn.AvgPool2d(2)))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the critic."""
        level, share = self.level()
        features = self.from_rgb[level](x)
        for number in range(level, -1, -1):
            features = self.blocks[number](features)
            if number == level and share < 1:
                features = torch.lerp(self.from_rgb[level - 1](F.avg_pool2d(x, 2)), features, share)
        return features


def grown_at(step: int, grow_steps: int, levels: int) -> float:
    """The finest level in use at a step, from 0: each is faded in for ``grow_steps`` and stays for as many."""
    level, place = divmod(max(step - grow_steps, 0), 2 * grow_steps)
    return min(level + min(place / grow_steps, 1.0), levels - 1.0)
