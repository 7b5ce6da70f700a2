"""The scale of the training targets, stored in the network."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from torch import nn

from ...data.datasets.patches import VolumePatchDataset


class TargetScale:
    """Handler that sets the target scale of a network to the mean over the training targets at the start of a new run.

    A resumed run keeps the scale of its checkpoint.

    Args:
        dataset: of patches with labels normalised by :class:`common.transforms.StandardiseHeadd`.
        network: with the buffer ``target_scale``.
    """

    def __init__(self, dataset: VolumePatchDataset, network: nn.Module) -> None:
        self.dataset = dataset
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Set the scale at the first epoch of ``engine``."""
        engine.add_event_handler(Events.EPOCH_STARTED(once=1), self)

    def __call__(self, engine: Engine) -> None:
        """Set the scale."""
        scales = torch.stack(list(self.dataset.scales.values()))
        self.network.target_scale.copy_(scales.mean(dim=0))  # type: ignore[operator]
