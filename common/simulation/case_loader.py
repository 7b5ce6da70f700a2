"""Order of simulated samples, in which each case is rendered once and rendering is spread over the epoch."""

from __future__ import annotations

from collections.abc import Iterator

from monai.data import DataLoader
from torch.utils.data import Sampler

from .. import devices
from ..data.datasets.simulated import SimulatedCases
from ..data.loader import require_short_tmpdir
from ..errors import ConfigError

PREFETCHED = 8
"""Batches prefetched by a worker, over which the time of rendering a case is spread."""


class CaseSampler(Sampler[tuple[int, int]]):
    """Sampler whose order needs few cases in memory and few new ones at a time for each worker.

    Every position in the batches of a worker is a lane that takes all samples of a case before it goes on to the next
    case. Lanes start at different samples of their first case, so that new cases are spread over the epoch and no batch
    waits for several. Yields pairs ``(epoch, index)`` like :class:`common.data.samplers.EpochSampler`.

    Args:
        dataset: gives ``samples_per_case`` and the length.
        batch_size: of the loader.
        num_workers: of the loader; it changes the order of the samples, not the samples.
        samples_per_epoch: over all processes; None for the length of the dataset.

    Raises:
        ConfigError: for fewer samples per epoch than one batch per process.
    """

    def __init__(
        self, dataset: SimulatedCases, batch_size: int, num_workers: int = 0, samples_per_epoch: int | None = None
    ) -> None:
        self.each = dataset.samples_per_case
        self.batch_size = batch_size
        self.workers = max(1, num_workers)
        self.samples = len(dataset) if samples_per_epoch is None else samples_per_epoch
        self.epoch, self.skip = 1, 0
        if self.samples < batch_size * devices.world_size():
            fault = f"--samples_per_epoch is {self.samples}, below {batch_size * devices.world_size()}"
            raise ConfigError(f"{fault}, one batch per process", "raise it or lower --batch_size")

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Set the next epoch, without the first ``skip`` samples of this process (after a resume)."""
        self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        return self.samples // devices.world_size()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield from ((self.epoch, self.index(position)) for position in range(self.skip, len(self)))

    def index(self, position: int) -> int:
        """The index of the sample at a position in the epoch of this process."""
        batch, place = divmod(position, self.batch_size)
        turn, worker = divmod(batch, self.workers)
        lanes = self.workers * self.batch_size
        lane = worker * self.batch_size + place
        offset = lane * self.each // lanes
        case, sample = divmod(turn + offset, self.each)
        everywhere = (case * devices.world_size() + devices.rank()) * lanes + lane
        return everywhere * self.each + sample


class CaseLoader(DataLoader):
    """MONAI's ``DataLoader`` with a :class:`CaseSampler` and persistent workers.

    Args:
        dataset: of simulated samples.
        batch_size: samples per step and process.
        samples_per_epoch: over all processes; None for the whole dataset.
        num_workers: rendering processes, in addition to the training process.
    """

    def __init__(
        self, dataset: SimulatedCases, batch_size: int = 1, samples_per_epoch: int | None = None, num_workers: int = 0
    ) -> None:
        require_short_tmpdir(num_workers)
        super().__init__(
            dataset,
            num_workers=num_workers,
            batch_size=batch_size,
            sampler=CaseSampler(dataset, batch_size, num_workers, samples_per_epoch),
            drop_last=True,
            pin_memory=devices.single_device().type != "cpu",
            persistent_workers=num_workers > 0,
            prefetch_factor=PREFETCHED if num_workers else None,
        )
