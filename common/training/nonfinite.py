"""Detection of non-finite losses and gradients, without a device synchronisation at every step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..errors import TrainingError

INTERVAL = 50
"""Steps between two checks of the device's record of the first non-finite loss; on a CPU every step is checked."""


class FiniteWatch:
    """Records on the device the first step whose loss or gradient was not finite, and keeps it from the weights.

    Args:
        device: of the losses.
        epoch_length: steps of an epoch, after each of which a run has a checkpoint.
    """

    def __init__(self, device: torch.device, epoch_length: int) -> None:
        self.device = device
        self.epoch_length = epoch_length
        self.step = 0
        self._now = torch.zeros((), dtype=torch.long, device=device)
        self._first_bad = torch.full((), -1, dtype=torch.long, device=device)
        self._cases: dict[int, Any] = {}

    def begin(self, step: int, cases: Any) -> None:
        """Record the number of the step that starts and the cases of its batch."""
        self.step = step
        self._now.fill_(step)
        self._cases[step] = cases
        if step % INTERVAL == 0:
            self.require()

    def note(self, value: Tensor) -> None:
        """Record this step if the value is not finite, before it can reach the weights."""
        bad = ~torch.isfinite(value.detach()) & (self._first_bad < 0)
        self._first_bad.copy_(torch.where(bad, self._now, self._first_bad))  # in place, for a step recorded as a graph
        if self.device.type == "cpu":
            self.require()

    def disarm(self, gradients: Iterable[Tensor]) -> None:
        """Replace gradients by zeros after a bad step: weights stay finite until the next check ends the run."""
        if self.device.type != "cpu":
            for gradient in gradients:
                gradient.masked_fill_(self._first_bad >= 0, 0.0)

    def require(self) -> None:
        """Raise if a loss or gradient was not finite.

        Raises:
            TrainingError: names the step and the cases of its batch; no checkpoint was written since.
        """
        bad = int(self._first_bad)
        if bad >= 0:
            saved = bad > self.epoch_length
            go_on = "and add --resume true to go on from the last good checkpoint" if saved else "and start again"
            raise TrainingError(
                f"loss or gradient is NaN or infinite at step {bad}, case {self._cases.get(bad)}",
                f"check that case, lower --learning_rate or set --precision fp32, {go_on}",
            )
        self._cases = {self.step: self._cases.get(self.step)}
