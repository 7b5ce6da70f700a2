"""What inferers share that apply another one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from monai.inferers import Inferer
from torch import nn


class WrappingInferer(Inferer):
    """Applies another inferer to whole volumes, and needs its memory.

    Args:
        inferer: (B, C, X, Y, Z) -> (B, C', X, Y, Z).
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """That of the other inferer; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        inner: Any = self.inferer
        needed: int = inner.bytes_needed(network, channels, shape)
        return needed

    def smaller(self) -> Iterator[tuple[str, WrappingInferer]]:
        """As that of the other inferer; see :meth:`common.stitching.PlaneInferer.smaller`."""
        inner: Any = self.inferer
        for words, other in inner.smaller():
            smaller = copy.copy(self)
            smaller.inferer = other
            yield words, smaller
