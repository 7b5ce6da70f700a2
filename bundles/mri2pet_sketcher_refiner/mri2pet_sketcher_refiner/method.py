"""Losses of Sketcher and Refiner."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import AdversarialLoss, l1, region_weighted_l1
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan
from common.methods.staged import StagedMethod
from common.networks.cascade import Cascade

STAGES = ("sketcher", "refiner")


class RegionGan(ConditionalGan):
    """Conditional GAN with L1, plain or weighted by region (Wei et al. 2019, eq. 1 to 4).

    Named losses: ``adversarial``, ``l1``, ``region_l1`` (generator), ``discriminator``. A batch holds ``lesion`` and
    ``nawm``, (B, 1, X, Y, Z), zeros if a case has none; air around the brain belongs to the other tissue. With
    ``region_counts`` (B, 3) the regions are counted over the subject, without them over the patch.
    """

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Distances that have a weight."""
        target, losses = batch["label"], {}
        if self.uses("l1"):
            losses["l1"] = l1(pred, target)
        if self.uses("region_l1"):
            regions = batch["lesion"], batch["nawm"], batch.get("region_counts")
            losses["region_l1"] = region_weighted_l1(pred, target, *regions)
        return losses


class SketcherRefinerGan(StagedMethod):
    """Staged training of Sketcher and Refiner, each with a discriminator of MR and PET (Wei et al. 2019).

    The Sketcher is trained first; it is frozen while the Refiner is trained.

    Args:
        network: the cascade of one or two stages.
        discriminator: of the Sketcher; that of the Refiner starts as a copy.
        loss_weights: under ``sketcher`` and ``refiner``, by the names of the losses.
        adversarial_loss: on the discriminators' logits.

    Raises:
        ConfigError: a stage has no weights.
    """

    def __init__(
        self,
        network: Cascade,
        discriminator: nn.Module,
        loss_weights: Mapping[str, Mapping[str, float]],
        adversarial_loss: AdversarialLoss,
    ) -> None:
        if set(loss_weights) != set(STAGES):
            rule = f"holds weights under {' and '.join(STAGES)}"
            raise ConfigError("loss_weights", rule, sorted(loss_weights), "give each stage its weights")
        judges = [discriminator, *(copy.deepcopy(discriminator) for _ in network.stages[1:])]
        methods = [
            RegionGan(stage, judge, loss_weights[name], adversarial_loss)  # type: ignore[arg-type]
            for stage, judge, name in zip(network.stages, judges, STAGES, strict=False)
        ]
        super().__init__(network, methods)
