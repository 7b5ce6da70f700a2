"""Volumes of cases in few bytes: 16-bit codes, and memory-mapped files that the processes of a machine share."""

from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ... import devices
from ...errors import DataError, OutputError

logger = logging.getLogger(__name__)
GB = 1e9
LITTLE = 2 * GB
"""Bytes of all cases up to which one process keeps them in memory."""
SHARE = 0.5
"""Part of the free memory that they may take there."""
CODES = 2**16
LARGE_FILES = Path("/var/tmp")
"""Folder on a disk, where that for temporary files may be in memory."""
ROOM = "set TMPDIR to a folder with room"
BOOT = Path("/proc/sys/kernel/random/boot_id")

Packed = list[tuple[Tensor, Tensor | None]]
"""Channels (1, X, Y, Z) of a volume: unsigned 16-bit codes, whose bits are in int16, and the value of each code; or the
values and None."""


def packed(volume: Tensor) -> Packed:
    """A volume (C, X, Y, Z) in 2 bytes a voxel for each channel of at most 65,536 values where this loses no bit."""
    return [_coded(channel) for channel in volume.split(1)]


def _coded(channel: Tensor) -> tuple[Tensor, Tensor | None]:
    values = channel.contiguous().numpy()
    if values.dtype == np.float32 and values.size:
        low, high = values.min(), values.max()
        with np.errstate(all="ignore"):  # of a constant channel, and of NaN, which is not coded
            codes = ((values - low) * ((CODES - 1) / (high - low))).round().astype(np.uint16)
        table, used = np.zeros(CODES, np.float32), np.zeros(CODES, bool)
        table[codes], used[codes] = values, True
        if np.array_equal(table[codes].view(np.int32), values.view(np.int32)):
            codes = (used.cumsum() - 1).astype(np.uint16)[codes]
            return torch.from_numpy(codes.view(np.int16)), torch.from_numpy(table[used])
    return channel.clone(memory_format=torch.contiguous_format), None


def cut(volume: Packed, part: Callable[[Tensor], Tensor]) -> Tensor:
    """A new tensor of the values of a part of each channel, as ``part`` cuts it, joined along the first axis."""
    return torch.cat([_values(part(codes), table) for codes, table in volume])


def _values(codes: Tensor, table: Tensor | None) -> Tensor:
    return codes if table is None else torch.from_numpy(table.numpy().take(codes.numpy().view(np.uint16)))


def folder() -> Path:
    """Where files of volumes lie: ``TMPDIR``, or a folder on a disk."""
    on_disk = "TMPDIR" not in os.environ and os.access(LARGE_FILES, os.W_OK)
    return LARGE_FILES if on_disk else Path(tempfile.gettempdir())


def mapped(content: Any, peers: Sequence[int] = ()) -> list[Any]:
    """Tensors in dictionaries and lists, now memory-mapped from a file without a name, which vanishes with its users.

    Args:
        content: of this process.
        peers: ranks of the processes of this machine whose contents are returned, in this order; all processes must
            then call this function. Empty: the content of this one.

    Raises:
        OutputError: where the file cannot be written.
    """
    archive = io.BytesIO()
    torch.save(content, archive)  # into a full disk it would not say what is wrong
    try:
        with tempfile.TemporaryFile(dir=folder()) as file:
            file.write(archive.getbuffer())
            file.flush()
            if not peers:
                return [_opened(f"/dev/fd/{file.fileno()}")]
            paths = devices.gather([f"/proc/{os.getpid()}/fd/{file.fileno()}"])
            contents = [_opened(paths[rank]) for rank in peers]
            devices.barrier()
            return contents
    except OSError as error:
        raise OutputError(f"cannot write volumes to {folder()} ({error.strerror or error})", ROOM) from error


def _opened(path: str) -> Any:
    return torch.load(path, mmap=True, weights_only=True)


def made_once(make: Callable[[int], Any], sizes: Sequence[float], title: str) -> list[Any]:
    """What ``make`` returns for each case, called once a machine: in memory where it is little, else memory-mapped.

    The processes of a machine take turns, and share the files.

    Args:
        make: gives tensors in dictionaries and lists for the number of a case.
        sizes: of the cases, in any unit; with what the first ones take, they tell the memory of all.
        title: of the cases, for messages.

    Raises:
        DataError: they fit neither into memory nor on the disk.
        OutputError: a file cannot be written.
    """
    turn, peers = _share()
    cases: list[Any] = []
    to_disk = False
    for first in tqdm(range(0, len(sizes), len(peers) or 1), desc=title, unit="case", leave=False, disable=None):
        number = first + turn
        case = make(number) if turn < max(len(peers), 1) and number < len(sizes) else None
        if not first:
            needs = 0 if case is None else _bytes(case) * sum(sizes) / sizes[number]
            needs = max(devices.gather([needs])) if peers else needs
            to_disk = _go_to_disk(needs, f"{title} of {len(sizes)} cases", bool(peers))
        cases += mapped(case, peers) if to_disk else [case]
    return cases[: len(sizes)]


def _share() -> tuple[int, list[int]]:
    """This process's turn among those of its machine, and the ranks that make cases; none where each makes all."""
    if devices.world_size() == 1 or not BOOT.is_file():
        return 0, []
    # processes with the same see the files of each other in /proc
    places = devices.gather([BOOT.read_text() + os.readlink("/proc/self/ns/pid")])
    same = [rank for rank, place in enumerate(places) if place == places[devices.rank()]]
    return same.index(devices.rank()), same[: min(Counter(places).values())]


def _bytes(content: Any) -> int:
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, Mapping) else content if isinstance(content, list | tuple) else ()
    return sum(map(_bytes, parts))


def _go_to_disk(needs: float, name: str, is_shared: bool) -> bool:
    """Whether what needs so many bytes goes to files; always where processes share it."""
    memory, disk = devices.free_memory(), shutil.disk_usage(folder()).free
    fits = not is_shared and needs <= SHARE * memory
    sizes = f"{name}: about {needs / GB:.3g} GB"
    if fits and (needs <= LITTLE or needs > disk):
        logger.info(f"{sizes} in memory")
        return False
    if needs > disk:
        room = f"{memory / GB:.3g} GB of memory and {disk / GB:.3g} GB in {folder()} are free"
        raise DataError(f"{sizes}, but {room}", f"{ROOM}, or pass a coarser --spacing")
    logger.info(f"{sizes} in memory-mapped files in {folder()}, where {disk / GB:.3g} GB are free")
    return True
