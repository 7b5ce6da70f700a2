"""Cascade inference on whole volumes, each stage stitched before the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from monai.inferers import Inferer
from torch import Tensor

from common.errors import DataError


class CascadeInferer(Inferer):
    """Stitches the stages of a :class:`common.networks.cascade.Cascade` one after the other.

    A stage takes the source and the whole output of the stage before: at the edge of a patch its context includes the
    neighbouring patches, unlike in a cascade applied patch by patch.

    Args:
        inferer: applies one network to whole volumes.
        contexts: how it stitches the stages before the last, a mode of
            :class:`common.inferers.patch_stitching.PatchStitchingInferer`. It is the same in training and inference,
            since a stage depends on how its context was stitched. None for that of the last stage.
    """

    def __init__(self, inferer: Inferer, contexts: str | None = None) -> None:
        super().__init__()
        self.inferer = inferer
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
            rule = f"has the {cascade.in_channels} channels of the network"
            raise DataError("source", rule, inputs.shape[1], "correct source, or train with these channels")
        *earlier, last = list(cascade.stages)[: int(cascade.in_use)]
        seen = inputs
        for stage in earlier:
            context = self.of_contexts(seen, stage, *args, **kwargs)
            seen = torch.cat([inputs, context.to(inputs.device)], dim=1)
        output: Tensor = self.inferer(seen, last, *args, **kwargs)
        return output
