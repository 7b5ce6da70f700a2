"""Cascade inference on whole volumes, each stage stitched before the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from ..errors import DataError
from .memory import FLOAT_BYTES
from .patch_stitching import PatchStitchingInferer


class CascadeInferer(Inferer):
    """Stitches the stages of a :class:`common.networks.cascade.Cascade` one after the other.

    A stage takes the source and the whole output of the stage before: at the edge of a patch its context includes the
    neighbouring patches, unlike in a cascade applied patch by patch.

    Args:
        inferer: applies one network to whole volumes.
        contexts: how it stitches the stages before the last, a mode of
            :class:`common.stitching.patch_stitching.PatchStitchingInferer`. It is the same in training and inference,
            since a stage depends on how its context was stitched. None for that of the last stage.
    """

    def __init__(self, inferer: Inferer, contexts: str | None = None) -> None:
        super().__init__()
        self.inferer = inferer
        self.contexts = contexts
        self.of_contexts: Inferer = inferer if contexts is None else cast(Any, inferer).in_mode(contexts)

    def making_contexts(self) -> CascadeInferer:
        """The inferer of the contexts of a further stage: all stages are stitched as those before the last."""
        return CascadeInferer(self.of_contexts)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z) by the stages in use.

        Raises:
            DataError: for another number of channels than the network takes.
        """
        cascade: Any = network
        if inputs.shape[1] != cascade.in_channels:
            fault = f"source has {inputs.shape[1]} channels, the network takes {cascade.in_channels}"
            raise DataError(fault, "change --source, or train with these channels")
        *earlier, last = list(cascade.stages)[: int(cascade.in_use)]
        context: Tensor | None = None
        for stage in earlier:
            context = _applied(self.of_contexts, inputs, context, stage, *args, **kwargs)
        return _applied(self.inferer, inputs, context, last, *args, **kwargs)

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """The most of all stages in use; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        cascade: Any = network
        stages = list(cascade.stages)[: int(cascade.in_use)]
        context = FLOAT_BYTES * math.prod(shape)
        needed: list[int] = []
        for number, stage in enumerate(stages):
            inner: Any = self.inferer if number == len(stages) - 1 else self.of_contexts
            if number:
                needed.append(context + inner.bytes_needed(stage, channels + 1, shape, has_context=True))
            else:
                needed.append(inner.bytes_needed(stage, channels, shape))
        return max(needed)

    def smaller(self) -> Iterator[tuple[str, CascadeInferer]]:
        """As that of its inferer; see :meth:`common.stitching.PlaneInferer.smaller`."""
        inner: Any = self.inferer
        for words, other in inner.smaller():
            yield words, CascadeInferer(other, self.contexts)


def _applied(inferer: Any, inputs: Tensor, context: Tensor | None, stage: Any, *args: Any, **kwargs: Any) -> Tensor:
    """The output of a stage on the source and the output of the one before, which are not copied into one volume."""
    if context is None:
        first: Tensor = inferer(inputs, stage, *args, **kwargs)
        return first
    if isinstance(inferer, PatchStitchingInferer):
        return inferer.stitched([inputs, context.to(inputs.device)], stage, *args, **kwargs)
    later: Tensor = inferer(torch.cat([inputs, context.to(inputs.device)], dim=1), stage, *args, **kwargs)
    return later
