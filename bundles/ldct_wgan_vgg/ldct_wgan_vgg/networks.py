"""Generator and critic of WGAN-VGG; the generators of RED-CNN and of the residual GAN, which it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from common.networks.stabilise import stabilise
from common.networks.strict_loading import refuse_other_weights

HEAD_SIDE = 8
"""Pixels a side that the critic's fully connected layer sees: a patch of 64 after three halvings."""
SOFT_HU = (-200.0, 250.0)
"""Above air and below bone, as in :mod:`common.metrics.tissue`."""
CONTRAST = 10.0
"""[chosen] gain of the first filters: after 300 steps on phantoms MAE 15.1 HU, without gain and zero sums 17 to 18."""


class ChainGenerator(nn.Module):
    """A chain of 3x3 convolutions with ReLU between them, 8 of 32 features as published (Yang et al. 2018, section II).

    By default it estimates the noise, which is taken off the slice (Wolterink et al. 2017), and starts as the identity;
    the published chain gives the image itself (``subtracts: false``). Inside, the lower end of the window is 0, so that
    padding is air. Input (B, C, H, W) in [-1, 1], slices of a slab; output (B, 1, H, W), the restored central slice on
    the same scale, not clipped.

    Args:
        in_channels: slices of the slab.
        width: features of the first layer.
        growth: features of each layer but the last, in multiples of ``width``.
        subtracts: whether the chain estimates the noise and not the image.
        largest_change: in standard deviations of the noise of the slice; in evaluation the output differs from the
            slice by no more, so that what is no noise, such as fine bone in a scan with little, stays. Training sees
            all. 0: no limit.
        window: HU that are -1 and 1, by which soft tissue is found.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 32,
        growth: Sequence[int] = (1, 1, 1, 1, 1, 1, 1),
        subtracts: bool = True,
        largest_change: float = 0.0,
        window: Sequence[float] = (-1000.0, 3000.0),
    ) -> None:
        super().__init__()
        self.centre = in_channels // 2
        self.largest_change = largest_change
        low, high = ((2 * hu - window[0] - window[1]) / (window[1] - window[0]) for hu in SOFT_HU)
        self.soft = (low, high)
        self.subtracts = subtracts
        counts = [in_channels, *(width * each for each in growth)]
        layers: list[nn.Module] = []
        for before, count in zip(counts[:-1], counts[1:], strict=True):
            layers += [nn.Conv2d(before, count, 3, padding=1, bias=False), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(counts[-1], 1, 3, padding=1, bias=False))
        self._start()
        refuse_other_weights(self)

    @torch.no_grad()
    def _start(self) -> None:
        """Xavier's weights, as published. Of a chain that subtracts, filters that sum to 0 come first, since a noise of
        20 HU is lost in a window of 4000, and zeros last."""
        first, *_, last = convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        for layer in convolutions:
            nn.init.xavier_uniform_(layer.weight)
        if self.subtracts:
            see_contrast(first)
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The restored slice."""
        made: Tensor = self.layers((x + 1) / 2)
        given = x[:, self.centre : self.centre + 1]
        restored = given - 2 * made if self.subtracts else 2 * made - 1
        if self.largest_change > 0 and not self.training:
            most = self.largest_change * noise_of(given, self.soft[0], self.soft[1])
            restored = given + (restored - given).clamp(-most, most)
        return restored


def noise_of(image: Tensor, low: float, high: float, side: int = 5, quantile: float = 0.25) -> Tensor:
    """Noise of images (B, 1, H, W), (B, 1, 1, 1): a quantile of the standard deviations in squares of soft tissue.

    It is 0 where a slice has no square of ``side`` pixels whose mean is between ``low`` and ``high``. The quantile is
    [chosen]: the larger deviations have edges. TorchScript takes numbers of functions, not of modules.
    """
    if min(image.shape[-2], image.shape[-1]) < side:
        return torch.zeros_like(image[:, :, :1, :1])
    shifted = image - (low + high) / 2  # squares of large numbers would lose weak noise
    mean, squares = avg_pool2d(shifted, side, 1), avg_pool2d(shifted * shifted, side, 1)
    deviations = (squares - mean * mean).clamp(min=0).sqrt()
    other = mean.abs() > (high - low) / 2
    level = deviations.masked_fill(other, float("nan")).flatten(1).nanquantile(quantile, dim=1)
    return level.nan_to_num(0.0)[:, None, None, None]


@torch.no_grad()
def see_contrast(layer: nn.Conv2d) -> None:
    """Filters that sum to 0, times ``CONTRAST``."""
    layer.weight -= layer.weight.mean(dim=(1, 2, 3), keepdim=True)
    layer.weight *= CONTRAST


class RedCnn(nn.Module):
    """Residual encoder-decoder without padding or pooling (Chen et al. 2017, section II-B).

    Five convolutions and five transposed ones of 5x5 with ReLU; the slice and the outputs of the second and the fourth
    convolution are added before the ReLU of the last, the third and the first transposed one. Scale, input and output
    as :class:`ChainGenerator`, with at least 21 pixels a side. It starts as the identity, and with filters that sum to
    0 [chosen]: after 600 steps at width 32 RMSE on two real CT was 36 and 58 HU, without 41 and 61 (input 41, 110).

    Args:
        in_channels: slices of the slab.
        width: features of each layer but the last.
    """

    def __init__(self, in_channels: int = 1, width: int = 96) -> None:
        super().__init__()
        self.centre = in_channels // 2
        encoder = [nn.Conv2d(width if number else in_channels, width, 5) for number in range(5)]
        decoder = [nn.ConvTranspose2d(width, width if number < 4 else 1, 5) for number in range(5)]
        see_contrast(encoder[0])
        for value in decoder[4].parameters():
            nn.init.zeros_(value)
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The restored slice."""
        made = (x + 1) / 2
        kept = [made[:, self.centre : self.centre + 1]]
        for number, layer in enumerate(self.encoder):
            made = layer(made).relu()
            if number % 2:
                kept.append(made)
        for number, layer in enumerate(self.decoder):
            made = layer(made)
            if number % 2 == 0:
                made = made + kept[2 - number // 2]
            made = made.relu()
        return 2 * made - 1


class PatchCritic(nn.Module):
    """Scores a patch as a whole (Yang et al. 2018, section II): six 3x3 convolutions, two fully connected layers.

    Features 64, 64, 128, 128, 256, 256, stride 2 in every second layer, 1024 fully connected, leaky ReLU of 0.2. The
    published layer of 1024 takes a patch of 64x64; features of another size are averaged or repeated to its 8x8 pixels.
    Input (B, C, H, W), at least 8 pixels a side; output (B, 1), the estimate or logit of its being of normal dose.

    Args:
        in_channels: of the patch.
        width: features of the first layer.
        norm: of all convolutions but the first: ``none`` as published, ``batch`` or ``instance``.
        spectral_norm: divide each layer's weights by their largest singular value.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 64,
        norm: str = "none",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = in_channels
        for number, count in enumerate((width, width, 2 * width, 2 * width, 4 * width, 4 * width)):
            normed = number > 0 and norm != "none"
            blocks.append(nn.Conv2d(before, count, 3, 1 + number % 2, 1, bias=not normed))
            blocks += [nn.BatchNorm2d(count)] if normed else []
            blocks.append(nn.LeakyReLU(0.2))
            before = count
        head = nn.Linear(before * HEAD_SIDE**2, 16 * width)
        blocks += [nn.AdaptiveAvgPool2d(HEAD_SIDE), nn.Flatten(), head, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*blocks, nn.Linear(16 * width, 1))
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(part.weight)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Output for each patch."""
        patches: Tensor = self.layers(x)
        return patches
