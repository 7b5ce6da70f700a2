"""Losses of the 3-D GAN on patches, and its auto-context stages."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import AdversarialLoss, Distance, gradient_difference, l1
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan
from common.methods.staged import StagedMethod
from common.networks.cascade import Cascade

PER_VOXEL = ("l1", "gdl")


class PatchGan(ConditionalGan):
    """3-D GAN on patches with adversarial, L1 and gradient difference loss (Nie et al. 2018, eq. 6).

    Named losses: ``adversarial``, ``l1``, ``gdl`` (generator), ``discriminator``. The two distances are summed over the
    voxels of a patch and averaged over the batch, as in the authors' code, which the published weights refer to. With
    ``reduction: mean`` they are averaged over the voxels and their weights multiplied by the voxels of a patch, which
    gives the same gradients but logged losses independent of the patch size.

    Args:
        patch_size: sides of a training patch in voxels.
        reduction: ``sum`` or ``mean``.
        loss_weights: for ``reduction: sum``, also with ``mean``.
        l1_loss: ``l1``, or one that weighs by the true HU, :class:`common.losses.BalancedL1`.
        **gan: the other arguments of :class:`common.methods.conditional.ConditionalGan`.

    Raises:
        ConfigError: ``reduction`` is not one of these.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        reduction: str,
        loss_weights: Mapping[str, float],
        l1_loss: Distance = l1,
        **gan: object,
    ) -> None:
        if reduction not in ("sum", "mean"):
            raise ConfigError("reduction", "is sum or mean", repr(reduction), "choose one of them")
        voxels = math.prod(patch_size) if reduction == "mean" else 1
        weights = {name: weight * (voxels if name in PER_VOXEL else 1) for name, weight in loss_weights.items()}
        super().__init__(loss_weights=weights, **gan)  # type: ignore[arg-type]
        self.reduction = reduction
        self.functions = {"l1": l1_loss, "gdl": gradient_difference}

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """L1 and gradient difference losses that have a weight."""
        target = batch["label"]
        return {name: loss(pred, target, self.reduction) for name, loss in self.functions.items() if self.uses(name)}


class AutoContextGan(StagedMethod):
    """Auto-context cascade with a :class:`PatchGan` and its own discriminator for every stage.

    Args:
        network: the cascade.
        discriminator: of the first stage; those of the others start as copies of it.
        **method: arguments of :class:`PatchGan`, the same for all stages.
    """

    def __init__(
        self,
        network: Cascade,
        discriminator: nn.Module,
        loss_weights: Mapping[str, float],
        adversarial_loss: AdversarialLoss,
        conditional: bool = True,
        reduction: str = "sum",
        patch_size: Sequence[int] = (32, 32, 32),
        l1_loss: Distance = l1,
    ) -> None:
        shared = {"loss_weights": loss_weights, "adversarial_loss": adversarial_loss, "conditional": conditional}
        shared |= {"reduction": reduction, "patch_size": patch_size, "l1_loss": l1_loss}
        judges = [discriminator, *(copy.deepcopy(discriminator) for _ in network.stages[1:])]
        methods = [
            PatchGan(generator=stage, discriminator=judge, **shared)  # type: ignore[arg-type]
            for stage, judge in zip(network.stages, judges, strict=True)
        ]
        super().__init__(network, methods)
