"""Regression: a network trained by its distance from the target alone, at several resolutions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from common.losses import Distance, l1
from common.methods.base import Batch, GanMethod, Losses


class Regression(GanMethod):
    """L1 with deep supervision: sum_k w_k L1(f_k(x), y_k), w_k = 2^-k / sum_j 2^-j (Isensee et al. 2021).

    y_k is the target averaged over blocks of ``2 ** k`` voxels a side. A network with one output has the plain L1.
    Named loss: ``l1``. There is no discriminator.

    Args:
        generator: (B, C, H, W[, D]) -> (B, C', H, W[, D]), or a list of such, finest first, in training mode.
        loss_weights: by the losses' names.
        l1_loss: ``l1``, or another of :mod:`common.losses`.
    """

    def __init__(self, generator: nn.Module, loss_weights: Mapping[str, float], l1_loss: Distance = l1) -> None:
        super().__init__({"generator": generator}, {}, loss_weights)
        self.l1_loss = l1_loss

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets (B, C', ...), and those of lower resolutions as ``pred_1``, ``pred_2``, ..."""
        made = self.generators["generator"](batch["image"])
        levels = made if isinstance(made, list) else [made]
        return {"pred": levels[0], **{f"pred_{level}": each for level, each in enumerate(levels) if level}}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """None."""
        return {}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The distance, as far as it has a weight."""
        return {"l1": self._distance(batch["label"], list(fakes.values()))} if self.uses("l1") else {}

    def _distance(self, target: Tensor, levels: list[Tensor]) -> Tensor:
        shares = [2.0**-level for level in range(len(levels))]
        distances = [self.l1_loss(level, _averaged(target, level)) for level in levels]
        return sum(share / sum(shares) * each for share, each in zip(shares, distances, strict=True))  # type: ignore[return-value]


def _averaged(target: Tensor, level: Tensor) -> Tensor:
    """The target at the resolution of a level, each voxel the mean of those it covers."""
    return target if level.shape == target.shape else F.interpolate(target, level.shape[2:], mode="area")
