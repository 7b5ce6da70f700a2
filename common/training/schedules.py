"""Learning-rate schedules, stepped after each epoch."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class ConstantThenLinear(LRScheduler):
    """Constant for some epochs, then linear to zero (Isola et al. 2017; Zhu et al. 2017: 100 + 100 epochs).

    Epoch ``constant_epochs + decay_epochs + 1`` would have rate zero; the last one trained is the step before.

    Args:
        optimizer: whose rates are set.
        constant_epochs: epochs at the full rate.
        decay_epochs: epochs over which the rate falls; 0 keeps it constant.
        stage_epochs: restart after this many, for methods that train in stages; None: never.
    """

    def __init__(
        self, optimizer: Optimizer, constant_epochs: int, decay_epochs: int, stage_epochs: int | None = None
    ) -> None:
        self.constant_epochs = constant_epochs
        self.decay_epochs = decay_epochs
        self.stage_epochs = stage_epochs
        super().__init__(optimizer)

    def idle_epochs(self, epochs: int) -> int:
        """How many of some epochs have the rate zero, and train nothing."""
        if not self.decay_epochs:
            return 0
        of_stage = [epoch % self.stage_epochs if self.stage_epochs else epoch for epoch in range(epochs)]
        return sum(epoch >= self.constant_epochs + self.decay_epochs for epoch in of_stage)

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the next epoch, one for each parameter group."""
        epoch = self.last_epoch % self.stage_epochs if self.stage_epochs else self.last_epoch
        over = max(0, epoch + 1 - self.constant_epochs)
        factor = max(0.0, 1 - over / (self.decay_epochs + 1)) if self.decay_epochs else 1.0
        return [base * factor for base in self.base_lrs]
