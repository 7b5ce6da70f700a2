"""A 2-D network on the slices of several planes of a volume, whose outputs are averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from monai.inferers import Inferer
from torch import Tensor, nn

from ..errors import ConfigError
from .memory import FLOAT_BYTES
from .slice_stitching import PlaneInferer


class PlanesInferer(Inferer):
    """Mean of the outputs for the slices of several planes (view aggregation, Guha Roy et al. 2019, QuickNAT).

    Args:
        inferers: one for each plane, (B, C, X, Y, Z) -> (B, C', X, Y, Z).

    Raises:
        ConfigError: there is none.
    """

    def __init__(self, inferers: Sequence[PlaneInferer]) -> None:
        super().__init__()
        if not inferers:
            raise ConfigError("--inferer::inferers is empty", "give a PlaneInferer for each plane")
        self.inferers = tuple(inferers)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z), float32, on the device of ``inputs``."""
        total = self.inferers[0](inputs, network)
        for other in self.inferers[1:]:
            total += other(inputs, network)
        return total.div_(len(self.inferers))

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """The most that a plane needs, and one sum; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        sums = FLOAT_BYTES * math.prod(shape) * (len(self.inferers) > 1)
        return sums + max(each.bytes_needed(network, channels, shape) for each in self.inferers)

    def smaller(self) -> Iterator[tuple[str, PlanesInferer]]:
        """As those of its planes; see :meth:`common.stitching.PlaneInferer.smaller`."""
        for parts in zip(*(each.smaller() for each in self.inferers), strict=True):
            yield parts[0][0], PlanesInferer([inferer for _, inferer in parts])
