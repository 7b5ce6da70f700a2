"""A 2-D network on the slices of several planes of a volume, whose outputs are averaged."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import ConfigError
from .memory import FLOAT_BYTES
from .slice_stitching import PLANES, PlaneInferer, plane_axis
from .wrapped_inferer import WrappingInferer


class PlanesInferer(WrappingInferer):
    """Mean of the outputs for the slices of several planes (view aggregation, Guha Roy et al. 2019, QuickNAT).

    Args:
        inferer: of one plane, whichever.
        planes: of sagittal, coronal and axial; each takes the time of one.

    Raises:
        ConfigError: for another plane, or none.
    """

    def __init__(self, inferer: PlaneInferer, planes: Sequence[str] = tuple(PLANES)) -> None:
        super().__init__(inferer)
        if not planes:
            raise ConfigError("--inferer::planes is empty", "give some of sagittal, coronal and axial")
        self.axes = tuple(plane_axis(plane) for plane in planes)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z), float32, on the device of ``inputs``."""
        first, *others = self._inferers()
        total = first(inputs, network)
        for other in others:
            total += other(inputs, network)
        return total.div_(len(self.axes))  # the volume is the inferer's own

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """The most that a plane needs, and one sum; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        sums = FLOAT_BYTES * math.prod(shape) * (len(self.axes) > 1)
        return sums + max(each.bytes_needed(network, channels, shape) for each in self._inferers())

    def _inferers(self) -> list[PlaneInferer]:
        """That of each plane."""
        made = []
        for axis in self.axes:
            own: Any = copy.copy(self.inferer)
            own.axis = axis
            made.append(own)
        return made
