"""Order of the samples of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

from .. import devices
from ..errors import ConfigError, DataError
from ..seeds import derive


class EpochSampler(Sampler[tuple[int, int]]):
    """Random order of samples, a function of (seed, epoch); yields pairs ``(epoch, index)``.

    Under torchrun the processes take turns in one shared order, so that no sample is drawn twice in an epoch.

    Args:
        dataset: to sample from, without replacement.
        seed: of the order.
        samples_per_epoch: over all processes; None for the whole dataset; beyond it, samples repeat in a new order.

    Raises:
        DataError: for an empty dataset.
        ConfigError: for ``samples_per_epoch`` below one per process.
    """

    def __init__(self, dataset: Sized, seed: int = 0, samples_per_epoch: int | None = None) -> None:
        self.dataset = dataset
        self.seed = seed
        self.samples = len(dataset) if samples_per_epoch is None else samples_per_epoch
        self.epoch = 1
        self.skip = 0
        if len(dataset) == 0:
            raise DataError("no training samples", "check cases and masks")
        if self.samples < devices.world_size():
            fault = f"--samples_per_epoch is {self.samples}, below {devices.world_size()}, one per process"
            raise ConfigError(fault, "raise it, or use fewer processes")

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Set the next epoch, without the first ``skip`` samples of this process (after a resume)."""
        self.epoch = epoch
        self.skip = skip

    def __len__(self) -> int:
        return self.samples // devices.world_size()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(derive(self.seed, self.epoch))
        order: list[int] = []
        while len(order) < self.samples:
            order += torch.randperm(len(self.dataset), generator=generator).tolist()
        mine = order[: self.samples][devices.rank() :: devices.world_size()][: len(self)]
        yield from ((self.epoch, index) for index in mine[self.skip :])
