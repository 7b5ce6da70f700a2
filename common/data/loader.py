"""Data loader of a training: order by (seed, epoch), pinned memory."""

from __future__ import annotations

from typing import Any

from monai.data import DataLoader

from .. import devices
from .samplers import EpochSampler


class EpochLoader(DataLoader):
    """MONAI's ``DataLoader`` with an :class:`~common.data.samplers.EpochSampler`, without an incomplete last batch.

    For an accelerator, batches are in pinned memory, so that copies to the device are asynchronous.

    Args:
        dataset: indexed by pairs ``(epoch, index)``.
        batch_size: samples per step and process.
        seed: of the order.
        samples_per_epoch: over all processes; None for the whole dataset.
        num_workers: processes that draw samples, restarted every epoch, since the dataset may change between epochs.
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
