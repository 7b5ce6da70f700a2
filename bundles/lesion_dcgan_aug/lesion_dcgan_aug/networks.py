"""Generators and discriminators of Frid-Adar et al. 2018 (DCGAN, Radford et al. 2016; ACGAN), at published size.

``width`` is the number of features of the discriminator's first layer; the published 64 gives generators of
1024-512-256-128-1 features and discriminators of 64-128-256-512 (ACGAN 16-32-64-128-256-512).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from common.networks.initialisation import normal_
from common.networks.stabilise import stabilise
from common.networks.strict_loading import refuse_other_weights

SMALLEST = 4
"""Pixels per side of the generator's first layer; each of its four layers doubles them, to 64."""


class DcganGenerator(nn.Module):
    """DCGAN generator: FC to 4 x 4, four transposed 5x5 convolutions at stride 2; BatchNorm, ReLU, tanh at the end.

    Args:
        inputs: length of the vectors (B, inputs) it synthesises from, (B, 1, 64, 64) in [-1, 1].
        width: see above.
    """

    def __init__(self, inputs: int = 100, width: int = 64) -> None:
        super().__init__()
        features = [16 * width, 8 * width, 4 * width, 2 * width]
        self.project = nn.Linear(inputs, features[0] * SMALLEST**2, bias=False)
        layers: list[nn.Module] = [nn.Unflatten(1, (features[0], SMALLEST, SMALLEST))]
        for count, following in pairwise([*features, 1]):
            up = nn.ConvTranspose2d(count, following, 5, 2, 2, output_padding=1, bias=following == 1)
            layers += [nn.BatchNorm2d(count), nn.ReLU(), up]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        normal_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise patches."""
        return self.layers(self.project(x))


class ClassGenerators(nn.Module):
    """One generator per class; the one-hot class after the latent vector of an input selects among them.

    Args:
        classes: number of classes K.
        latent_dim: dimension of z.
        width: of each generator.
    """

    def __init__(self, classes: int = 3, latent_dim: int = 100, width: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.generators = nn.ModuleList(DcganGenerator(latent_dim, width) for _ in range(classes))
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, latent_dim + K) -> (B, 1, 64, 64). All generators run, so that shapes are static."""
        z, chosen = x[:, : self.latent_dim], x[:, self.latent_dim :]
        pred = torch.zeros(1, device=x.device)
        for k, generator in enumerate(self.generators):
            pred = pred + chosen[:, k].reshape(-1, 1, 1, 1) * generator(z)
        return pred

    @torch.jit.unused
    def per_class(self, z: Tensor) -> Tensor:
        """One batch per class, as in training: (B, K, latent_dim) -> (B, K, 64, 64)."""
        return torch.cat([generator(z[:, k]) for k, generator in enumerate(self.generators)], dim=1)


class ConditionalGenerator(nn.Module):
    """Class-conditional generator (ACGAN, Odena et al. 2017); inputs and outputs as :class:`ClassGenerators`."""

    def __init__(self, classes: int = 3, latent_dim: int = 100, width: int = 64) -> None:
        super().__init__()
        self.classes = classes
        self.latent_dim = latent_dim
        self.generator = DcganGenerator(latent_dim + classes, width)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, latent_dim + K) -> (B, 1, 64, 64)."""
        return self.generator(x)

    @torch.jit.unused
    def per_class(self, z: Tensor) -> Tensor:
        """All classes in one batch: (B, K, latent_dim) -> (B, K, 64, 64)."""
        classes = torch.eye(self.classes, device=z.device, dtype=z.dtype).expand(len(z), -1, -1)
        return self.generator(torch.cat([z, classes], dim=2).flatten(0, 1)).reshape(len(z), self.classes, 64, 64)


class DcganDiscriminator(nn.Module):
    """DCGAN discriminator: four strided 5x5 convolutions and FC; LeakyReLU 0.2, BatchNorm between first and last.

    Args:
        width, norm, spectral_norm: see :class:`ClassDiscriminators`.
    """

    def __init__(self, width: int = 64, norm: str = "batch", spectral_norm: bool = False) -> None:
        super().__init__()
        features = [1, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for above, count in pairwise(features):
            first = above == 1
            layers.append(nn.Conv2d(above, count, 5, 2, 2, bias=first))
            layers += [nn.LeakyReLU(0.2)] if first else [nn.BatchNorm2d(count), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features[-1] * SMALLEST**2, 1))
        normal_(self)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 64, 64) -> logits (B, 1) of being real."""
        return self.layers(x)


class AcganDiscriminator(nn.Module):
    """ACGAN discriminator: 3x3 convolutions, stride 2 in every odd one, dropout 0.5 after each; one FC for both heads.

    Kernels, strides and dropout are those of Frid-Adar et al. 2018, who do not give the number of layers and features:
    these, and BatchNorm in all but the first, are those of the ImageNet discriminator of Odena et al. 2017 (appendix),
    16-32-64-128-256-512.

    Args:
        classes: number of classes K.
        width: a quarter of it are the features of the first layer, 16 of the published 64.
        dropout: probability in training.
        norm: of :func:`common.networks.stabilise.stabilise`.
        spectral_norm: see there.
    """

    def __init__(
        self, classes: int = 3, width: int = 64, dropout: float = 0.5, norm: str = "batch", spectral_norm: bool = False
    ) -> None:
        super().__init__()
        features = [1, *(max(1, width * 2**power // 4) for power in range(6))]
        layers: list[nn.Module] = []
        for number, (above, count) in enumerate(pairwise(features)):
            layers.append(nn.Conv2d(above, count, 3, 2 - number % 2, 1, bias=number == 0))
            layers += [nn.LeakyReLU(0.2)] if number == 0 else [nn.BatchNorm2d(count), nn.LeakyReLU(0.2)]
            layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features[-1] * (2 * SMALLEST) ** 2, 1 + classes))
        normal_(self)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 64, 64) -> logits (B, 1 + K): of being real, then of each class."""
        return self.layers(x)


class ClassDiscriminators(nn.Module):
    """One discriminator per class: (B, K, 64, 64), channel k of class k -> logits (B, K).

    Args:
        classes: number of classes K.
        width: of each.
        norm: of each, of :func:`common.networks.stabilise.stabilise`.
        spectral_norm: see there.
    """

    def __init__(self, classes: int = 3, width: int = 64, norm: str = "batch", spectral_norm: bool = False) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(DcganDiscriminator(width, norm, spectral_norm) for _ in range(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of being real."""
        parts = [discriminator(x[:, k : k + 1]) for k, discriminator in enumerate(self.discriminators)]
        return torch.cat(parts, dim=1)
