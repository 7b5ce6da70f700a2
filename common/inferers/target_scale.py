"""Rescaling of z-score predictions to the unit of the training targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from monai.inferers import Inferer
from torch import Tensor, nn


class TargetScaleInferer(Inferer):
    """Rescales the z-scores of another inferer to the unit of the training targets.

    Mean and standard deviation are the buffer ``target_scale`` of the network that is passed to the call: servers
    load weights into a copy of ``network_def``, which no transform of the configuration sees.

    Args:
        inferer: (B, C, X, Y, Z) -> (B, C', X, Y, Z), z-scores.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z) in the unit of the targets."""
        owner: Any = network
        mean, deviation = owner.target_scale.tolist()
        scores: Tensor = self.inferer(inputs, network, *args, **kwargs)
        return scores.mul_(deviation).add_(mean)  # the volume is the inferer's own

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """That of the other inferer; see :meth:`common.inferers.PlaneInferer.bytes_needed`."""
        inner: Any = self.inferer
        needed: int = inner.bytes_needed(network, channels, shape)
        return needed

    def smaller(self) -> Iterator[tuple[str, TargetScaleInferer]]:
        """As that of the other inferer; see :meth:`common.inferers.PlaneInferer.smaller`."""
        inner: Any = self.inferer
        for words, other in inner.smaller():
            yield words, TargetScaleInferer(other)
