"""Test-time augmentation: the mean of the outputs for a volume and its mirror images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from monai.inferers import Inferer
from torch import Tensor, nn

from ..errors import ConfigError
from .memory import FLOAT_BYTES
from .wrapped_inferer import WrappingInferer

AXES = (0, 1, 2)


class MirrorInferer(WrappingInferer):
    """Mirrors a volume along every combination of some axes, infers, mirrors back and averages (Isensee et al. 2021).

    A network that was trained with mirrored heads (``flip`` of ``augmentation``, left and right alone) gains by [0];
    one that was not may lose. With no axis it is the other inferer.

    Args:
        inferer: (B, C, X, Y, Z) -> (B, C', X, Y, Z).
        axes: of a volume oriented right-anterior-superior: 0 left-right, 1 front-back, 2 up-down. Each
            doubles the time.

    Raises:
        ConfigError: for another axis, or one given twice.
    """

    def __init__(self, inferer: Inferer, axes: Sequence[int] = ()) -> None:
        super().__init__(inferer)
        if not set(axes) <= set(AXES) or len(set(axes)) < len(axes):
            fault = f"--mirrored is {list(axes)}, not some of 0, 1, 2, each once"
            raise ConfigError(fault, "give [0] for left and right")
        self.axes = tuple(axes)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z)."""
        total: Tensor = self.inferer(inputs, network, *args, **kwargs)
        counts = range(1, len(self.axes) + 1)
        mirrors = [axes for count in counts for axes in itertools.combinations(self.axes, count)]
        for axes in mirrors:
            sides = [axis + 2 for axis in axes]
            total += self.inferer(inputs.flip(sides), network, *args, **kwargs).flip(sides)
        return total.div_(len(mirrors) + 1) if mirrors else total  # the volume is the inferer's own

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """That of the other inferer and of mirrored volumes; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        mirrored = (channels + 2) * FLOAT_BYTES * math.prod(shape) if self.axes else 0
        return mirrored + super().bytes_needed(network, channels, shape)
