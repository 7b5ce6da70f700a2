"""Regression: a network trained by its distance from the target alone, at several resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .base import Batch, GanMethod, Losses


class Regression(GanMethod):
    """L1 with deep supervision: sum_k w_k L1(f_k(x), y_k), w_k = 2^-k / sum_j 2^-j (Isensee et al. 2021).

    y_k is the target averaged over blocks of ``2 ** k`` voxels a side. A network with one output has the plain L1.
    Named losses: ``l1``, by whatever function, and others, which see the finest resolution alone: windows and networks
    of losses do not fit into the coarse ones. There is no discriminator.

    Args:
        generator: (B, C, H, W[, D]) -> (B, C', H, W[, D]), or a list of such, finest first, in training mode.
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
    """

    def __init__(self, generator: nn.Module, losses: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({"generator": generator}, {}, losses)

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets (B, C', ...), and those of lower resolutions as ``pred_1``, ``pred_2``, ..."""
        pred = self.generators["generator"](batch["image"])
        levels = pred if isinstance(pred, list) else [pred]
        return {"pred": levels[0], **{f"pred_{level}": each for level, each in enumerate(levels) if level}}

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A distance to the target; ``l1`` at every resolution."""
        if name != "l1":
            return super().loss(name, batch, fakes)
        shares = [2.0**-level for level in range(len(fakes))]
        targets = [{**batch, "label": _averaged(batch["label"], level)} for level in fakes.values()]
        distances = [self.distance(name, *each) for each in zip(targets, fakes.values(), strict=True)]
        return sum(share / sum(shares) * each for share, each in zip(shares, distances, strict=True))  # type: ignore[return-value]


def _averaged(target: Tensor, level: Tensor) -> Tensor:
    """The target at the resolution of a level, each voxel the mean of those it covers."""
    return target if level.shape == target.shape else F.interpolate(target, level.shape[2:], mode="area")
