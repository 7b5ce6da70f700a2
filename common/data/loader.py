"""Data loader of a training: order by (seed, epoch), pinned memory."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from monai.data import DataLoader

from .. import devices
from ..errors import ConfigError
from .samplers import EpochSampler

LONGEST_TMPDIR = 75
"""Bytes of the folder in which a worker opens ``/pymp-xxxxxxxx/listener-xxxxxxxx``: a socket's name has at most 107."""


def require_short_tmpdir(num_workers: int) -> None:
    """Refuse workers that could not send a sample: the training would wait for it for ever, without a word.

    Raises:
        ConfigError: the folder of temporary files has too long a name.
    """
    folder = tempfile.gettempdir()
    if num_workers and len(os.fsencode(folder)) > LONGEST_TMPDIR:
        fault = f"TMPDIR {folder} has {len(os.fsencode(folder))} characters, too many for sockets of --num_workers"
        raise ConfigError(fault, f"set TMPDIR to one of at most {LONGEST_TMPDIR}, or pass --num_workers 0")


class EpochLoader(DataLoader):
    """MONAI's ``DataLoader`` with an :class:`~common.data.samplers.EpochSampler`, without an incomplete last batch.

    For an accelerator, batches are in pinned memory, so that copies to the device are asynchronous.

    Args:
        dataset: indexed by pairs ``(epoch, index)``.
        batch_size: samples per step and process.
        seed: of the order.
        samples_per_epoch: over all processes; None for the whole dataset.
        num_workers: processes that draw samples, restarted every epoch, since the dataset may change between epochs.

    Raises:
        ConfigError: see :func:`require_short_tmpdir`.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        seed: int = 0,
        samples_per_epoch: int | None = None,
        num_workers: int = 0,
    ) -> None:
        require_short_tmpdir(num_workers)
        super().__init__(
            dataset,
            num_workers=num_workers,
            batch_size=batch_size,
            sampler=EpochSampler(dataset, seed, samples_per_epoch),
            drop_last=True,
            pin_memory=devices.single_device().type != "cpu",
        )
