"""The U-Net generator of Isola et al. 2017."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Norm
from torch import Tensor, nn

from ..errors import ConfigError, choose
from .initialisation import normal_
from .strict_loading import refuse_other_weights

NORMS = ("batch", "instance")


class UNetGenerator(nn.Module):
    """U-Net with 4x4 kernels at stride 2 and a skip at every level (Isola et al. 2017, appendix 6.1.1).

    ``depth=8, width=64`` is ``unet_256``, 54.4 M parameters: 64-128-256-512x5 features. Input (B, C, H, W) in [-1, 1]
    with sides divisible by ``2 ** depth``; output (B, C', H, W) in [-1, 1].

    Args:
        in_channels: of the source; slices a slab times channels.
        out_channels: of the target.
        depth: halvings of the resolution.
        width: features of the outermost level, at most eight times as many inside.
        dropout: probability in the inner blocks; in up to three, as in the published network.
        bounded: whether a tanh bounds the output to [-1, 1]; without, the output is any number.
        norm: ``batch``, or ``instance``, which equals batch normalisation at the published batch size of one (Isola et
            al. 2017, section 3.3), in inference too. Each slice then has its own statistics, whatever its contrast.

    Raises:
        ConfigError: for another ``norm``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        depth: int = 8,
        width: int = 64,
        dropout: float = 0.5,
        bounded: bool = True,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        require_norm(norm)
        features = [min(width * 2**level, width * 8) for level in range(depth)]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()  # innermost first
        for level, count in enumerate(features):
            outer, inner = level == 0, level == depth - 1
            above = in_channels if outer else features[level - 1]
            self.encoder.append(_down(above, count, activate=not outer, norm=None if outer or inner else norm))
            below = count if inner else count * 2
            produced = out_channels if outer else features[level - 1]
            block = [nn.ReLU(), nn.ConvTranspose2d(below, produced, 4, 2, 1, bias=outer)]
            if not outer:
                block.append(_norm(norm, produced))
            if level > 3 and not inner:
                block.append(nn.Dropout(float(dropout)))  # TorchScript takes no whole number
            if outer and bounded:
                block.append(nn.Tanh())
            self.decoder.insert(0, nn.Sequential(*block))
        normal_(self)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise the target slice."""
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        for done, block in enumerate(self.decoder):
            x = block(x if done == 0 else torch.cat([skips[-1 - done], x], dim=1))
        return x


def require_norm(norm: str) -> None:
    """Refuse a normalisation that is none of ``NORMS``.

    Raises:
        ConfigError: for such a name.
    """
    if norm not in NORMS:
        raise ConfigError(f"norm is {norm!r}", choose(NORMS))


def _norm(name: str, count: int) -> nn.Module:
    norm: nn.Module = Norm[name, 2](count, affine=True)
    return norm


def _down(above: int, count: int, activate: bool, norm: str | None) -> nn.Sequential:
    block: list[nn.Module] = [nn.LeakyReLU(0.2)] if activate else []
    block.append(nn.Conv2d(above, count, 4, 2, 1, bias=False))
    return nn.Sequential(*block, *([_norm(norm, count)] if norm else []))
