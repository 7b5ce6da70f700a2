"""Batches for a training: in the order of (seed, epoch), ready for the device."""

from __future__ import annotations

from typing import Any

from monai.data import DataLoader

from common import devices
from common.data.samplers import EpochSampler


class EpochLoader(DataLoader):
    """MONAI's ``DataLoader`` around an :class:`~common.data.samplers.EpochSampler`, without an incomplete last batch.

    Batches lie in pinned memory where the device is an accelerator, so that their copies to it do not wait.

    Args:
        dataset: takes pairs ``(epoch, index)``.
        batch_size: samples a step and process.
        seed: of the order.
        samples_per_epoch: over all processes; None for the whole dataset.
        num_workers: processes that draw samples, started anew each epoch, since a dataset may change between.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        seed: int = 0,
        samples_per_epoch: int | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            dataset,
            num_workers=num_workers,
            batch_size=batch_size,
            sampler=EpochSampler(dataset, seed, samples_per_epoch),
            drop_last=True,
            pin_memory=devices.single_device().type != "cpu",
        )
