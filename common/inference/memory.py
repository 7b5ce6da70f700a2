"""Memory of cases, estimated from their headers and the network before they are read."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..devices import free_memory
from ..errors import ConfigError, DataError
from ..grids import ras_shape
from ..io import Scan, VolumeReader
from ..io.modality import SOURCE_MODALITY
from ..stitching.memory import FLOAT_BYTES, without_values
from ..transforms.spacing import WorkingSpacingd

logger = logging.getLogger(__name__)
GB = 1e9
SHARE = 0.5
"""Part of the free memory that is the default limit."""
LIBRARIES = 0.15 * GB
"""Libraries and threads take so much more after the first case, in bytes [measured]."""
MARGIN = 1.15
"""Factor on the estimate of an inferer: of narrow 3-D networks the peak was 8 % above [measured]."""
READING, WRITING = 1.05, 2.05
"""Volumes in memory next to the sources while these are read and scaled, and in all while the output is mapped back to
its grid and written: the highest of the steps, counted in the code and measured."""
RESAMPLING = 61
"""Bytes that resampling takes for each voxel of the larger grid, coordinates and values with 64 bits: with the volumes
69 were measured."""
STATM = Path("/proc/self/statm")


class Choice(NamedTuple):
    """How a case is inferred: bytes in host memory and on the device, the inferer, and what it is in words."""

    host: float
    device: float
    inferer: Any
    words: str


class MemoryPlan:
    """Decides before a case is read how it stays within the limit, and whether it must wait for others.

    The memory of a case is the most of three steps: reading and scaling, inference, mapping back and writing. Its grid
    is that of the header, or the working spacing's; the network's part is counted on tensors without values. Where the
    case does not fit, the inferer is replaced by one with smaller batches or windows, whose result is the same but for
    rounding; a log line says which. A case that fits alone waits until the cases in memory leave it room.

    Args:
        max_memory_gb: limit of the process in GB, with what Python and libraries take; on an accelerator that of its
            memory. None: what is taken already, and half of what is free, shared by the processes of the machine.
        device: of the network.
        network: with its weights loaded.
        inferer: with ``bytes_needed`` and ``smaller`` as :class:`common.stitching.PlaneInferer` has them; any other is
            used as it is, and counted as if it took nothing.
        transform: preprocessing, in which a :class:`common.transforms.WorkingSpacingd` is looked for.
        reader: of the sources.
        further: volumes in host memory in addition to those of a forward pass, as of an uncertainty map.
        require: called with a case and its grid before its memory is estimated; raises for one to be refused.
    """

    def __init__(
        self,
        max_memory_gb: float | None,
        device: torch.device,
        network: nn.Module,
        inferer: Any,
        transform: Callable[..., Any] | None,
        reader: VolumeReader,
        further: int = 0,
        require: Callable[[str, Scan], None] | None = None,
    ) -> None:
        self.further = further
        self.require = require
        self.on_host = device.type != "cuda"
        limit = None if max_memory_gb is None else max_memory_gb * GB
        self.taken = _taken() + LIBRARIES
        self.limit = _limit(limit if self.on_host else None, self.taken, free_memory())
        self.device_limit = math.inf if self.on_host else _device_limit(limit, device)
        self.network = without_values(network).eval()
        self.inferer = inferer
        self.reader = reader
        steps = getattr(transform, "transforms", ())
        self.spacing = next((each for each in steps if isinstance(each, WorkingSpacingd)), None)
        self.widening = [each for each in steps if hasattr(each, "channels_after")]
        self._choices: dict[tuple[Any, ...], Choice] = {}
        self._admitted: dict[str, Choice] = {}
        self._changed = threading.Condition()
        self._closed = False

    def admit(self, item: Mapping[str, Any]) -> None:
        """Choose how a case is inferred, and wait until it fits next to the cases in memory.

        Raises:
            DataError: for a case that is refused, or does not fit even alone.
            ConfigError: for windows that are too small for the network.
        """
        case = str(item["case"])
        grid = self._grid(case, item["image"], item.get(SOURCE_MODALITY))
        if grid is not None and self.require is not None:
            self.require(case, grid)
        if torch.utils.data.get_worker_info() is not None:  # another process, whose memory is not counted here
            return
        choice = self._choice(case, item["image"], grid)
        with self._changed:
            while not self._closed and self._admitted and not self._fits(choice.host):
                self._changed.wait(1.0)
            self._admitted[case] = choice

    def inferer_of(self, case: str) -> Any:
        """The inferer that was chosen for a case."""
        choice = self._admitted.get(case)
        return self.inferer if choice is None else choice.inferer

    def release(self, case: str) -> None:
        """Note that a case is no longer in memory."""
        with self._changed:
            self._admitted.pop(case, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Let no case wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, host: float) -> bool:
        return self.taken + host + sum(choice.host for choice in self._admitted.values()) <= self.limit

    def _grid(self, case: str, image: Any, modality: str | None) -> Scan | None:
        """The grid of the first channel; None where it cannot be read."""
        paths = _paths(image)
        return self.reader.extent(paths[0], case, None if len(paths) > 1 else self.reader.channels, modality)

    def _choice(self, case: str, image: Any, extent: Scan | None) -> Choice:
        if extent is None:  # reading reports why
            return Choice(0, 0, self.inferer, "")
        paths = _paths(image)
        read = extent.values.shape[0] if self.reader.pictures and extent.values.ndim == 4 else 1
        channels = len(paths) if len(paths) > 1 else self.reader.channels or read
        for step in self.widening:
            channels = step.channels_after(channels)
        shape = extent.values.shape[-3:]
        working = self._working_shape(shape, extent.affine)
        key = (channels, shape, working)
        if key not in self._choices:
            self._choices[key] = self._chosen(case, channels, shape, working)
        return self._choices[key]

    def _working_shape(self, shape: tuple[int, ...], affine: Any) -> tuple[int, ...]:
        return ras_shape(shape, affine) if self.spacing is None else self.spacing.shape_after(shape, affine)

    def _chosen(self, case: str, channels: int, shape: tuple[int, ...], working: tuple[int, ...]) -> Choice:
        """The first inferer that fits.

        Raises:
            DataError: none does.
        """
        first: Choice | None = None
        size = " x ".join(map(str, shape))
        for choice in self._considered(channels, shape, working):
            first = first or choice
            if self.taken + choice.host <= self.limit and choice.device <= self.device_limit:
                changed = "" if choice is first else f" with {first.words}, {self._most(choice)} with {choice.words}"
                logger.info(f"{case}: {size} needs {self._most(first)} of memory{changed}; limit {self._limits()}")
                return choice
            last = choice
        with_ = f" with {last.words}" if last.words else ""
        limit = f"the limit is {self._limits()} (--max_memory_gb, or half of what is free)"
        remedy = "raise --max_memory_gb, pass a coarser --spacing, or crop the volume"
        raise DataError(f"out of memory: {case} needs {self._most(last)} for {size} voxels{with_}, {limit}; {remedy}")

    def _considered(self, channels: int, shape: Sequence[int], working: Sequence[int]) -> Iterator[Choice]:
        voxels, within = math.prod(shape), math.prod(working)
        resampled = 0 if self.spacing is None or self.spacing.keeps else RESAMPLING * max(voxels, within)
        around = FLOAT_BYTES * max(voxels, within)
        fixed = max((channels + READING) * around, WRITING * around) + resampled
        if not hasattr(self.inferer, "smaller"):
            yield Choice(fixed, 0, self.inferer, "")
            return
        source = FLOAT_BYTES * channels * within
        for place, (words, inferer) in enumerate(self.inferer.smaller()):
            try:
                needed = source + MARGIN * inferer.bytes_needed(self.network, channels, working)
            except ConfigError:  # windows or tiles of that size are all halo
                if place == 0:  # as it is configured
                    raise
                return
            except RuntimeError as error:
                if "channel" not in str(error):
                    raise
                fault = f"the network takes another number of channels than {channels}"
                remedy = "give images as in its training, DIR with DIR/<case>/<name> for each of --source"
                raise DataError(fault, remedy) from error
            host = (max(fixed, needed) if self.on_host else fixed) + self.further * around
            yield Choice(host, 0 if self.on_host else needed, inferer, words)

    def _most(self, choice: Choice) -> str:
        return _gb(self.taken + choice.host if self.on_host else choice.device)

    def _limits(self) -> str:
        return _gb(self.limit if self.on_host else self.device_limit)


def _paths(image: Any) -> list[str]:
    return [str(path) for path in (image if isinstance(image, list | tuple) else [image])]


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB" if math.isfinite(size) else "unknown"


def _limit(given: float | None, taken: float, free: float) -> float:
    return taken + SHARE * free / int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if given is None else given


def _device_limit(given: float | None, device: torch.device) -> float:
    """Bytes of an accelerator that volumes and tensors may take: of those that PyTorch has, and of the free ones."""
    free, _ = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    used = torch.cuda.memory_allocated(device)
    return (SHARE * (free + reserved) if given is None else min(given, free + reserved)) - used


def _taken() -> float:
    """Resident memory of this process in bytes; none on systems that do not tell it."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.is_file() else 0.0
