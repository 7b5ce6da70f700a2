"""Initial weights of the adversarial networks."""

from __future__ import annotations

from torch import nn

STD = 0.02


def normal_(module: nn.Module) -> None:
    """Draw convolution and linear weights from N(0, 0.02^2), normalisation scales from N(1, 0.02^2), biases to 0.

    Source: Radford et al. 2016, section 3; used alike by Isola et al. 2017 and Zhu et al. 2017.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.conv._ConvNd | nn.Linear):
            nn.init.normal_(part.weight, 0.0, STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.modules.batchnorm._BatchNorm) and part.affine:
            nn.init.normal_(part.weight, 1.0, STD)
            nn.init.zeros_(part.bias)
