"""Devices and distributed processes: one device alone, or one for each process under torchrun."""

from __future__ import annotations

import ctypes
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast

import ignite.distributed as idist
import torch
import torch.distributed as dist

from .errors import ConfigError

logger = logging.getLogger(__name__)
T = TypeVar("T")
OF_TORCHRUN = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables in which torchrun describes its group to a process."""
PATIENCE_S = 10.0
"""After which a line says that the other processes have not come."""
TIMEOUT_S = 1800.0
"""To wait for them, then and whenever they meet."""


OWN_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which users, and torchrun, set the number of threads."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of the options of glibc's ``mallopt``."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processors that a container may use, and of the period."""
MEMINFO = Path("/proc/meminfo")
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Limit and usage of a container, of both versions."""


def single_device() -> torch.device:
    """The accelerator PyTorch finds, else the CPU."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def names() -> list[str]:
    """The devices of this machine, such as ``cpu`` and ``cuda:0``."""
    kind = single_device().type
    return ["cpu", *(f"{kind}:{number}" for number in range(torch.accelerator.device_count()) if kind != "cpu")]


def require(name: str) -> None:
    """Refuse the name of a device that PyTorch does not know, or this machine has not.

    Raises:
        ConfigError: for such a name.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device is {name!r}", "choose cpu or cuda:0, or omit it") from error
    kinds = dict.fromkeys(("cpu", single_device().type))
    if device.type not in (*kinds, "cuda") or (device.type == "cpu" and device.index):
        raise ConfigError(f"--device {name} is not available on this machine", f"pass {' or '.join(kinds)}, or omit it")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        raise ConfigError(f"--device {name} is not available on this machine", "pass cpu, or omit it")


def distributed_device() -> torch.device:
    """Join the process group that torchrun prepared and return this process's own device.

    Uses NCCL on CUDA devices and gloo on CPUs. Outside torchrun it is :func:`single_device`.

    Raises:
        ConfigError: the others do not come, as where variables of torchrun were left in the environment.
    """
    device = single_device()
    if "WORLD_SIZE" not in os.environ:
        return device
    if device.type != "cpu":
        device = torch.device(device.type, int(os.environ["LOCAL_RANK"]))
        torch.accelerator.set_device_index(device.index)
    if not dist.is_initialized():
        _join("gloo" if device.type == "cpu" else "nccl")
        _sync_ignite()
    return device


def _join(backend: str) -> None:
    """Meet the other processes; a log line after ``PATIENCE_S`` says that some have not come."""
    group = ", ".join(f"{name}={os.environ[name]}" for name in OF_TORCHRUN if name in os.environ)
    remedy = "start all of them by torchrun, or unset these variables to run alone"
    timer = threading.Timer(PATIENCE_S, logger.warning, [f"waiting for the processes of {group}: {remedy}"])
    timer.daemon = True
    timer.start()
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=TIMEOUT_S))
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"cannot join the processes of {group} ({reason})", remedy) from error
    finally:
        timer.cancel()


def _sync_ignite() -> None:
    """Let Ignite see the group now: its first look is collective, which must not happen in one process alone."""
    if "SLURM_JOB_ID" in os.environ:
        # Ignite takes SLURM's local number over torchrun's, but SLURM counts torchrun as one task
        os.environ["SLURM_LOCALID"] = os.environ["LOCAL_RANK"]
    idist.sync()


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors of up to 32 MB for the next ones.

    Otherwise the kernel clears their pages each time: a third of the processor time of a network [measured].
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(MMAP_THRESHOLD, 32 * 2**20)
        set_option(TRIM_THRESHOLD, 2**30)


def share_cores() -> None:
    """Let PyTorch use as many threads as cores are idle, at least one, where nobody has set a number.

    Two programs with a thread for each core are slower than with half of them. The load is that of the last minute.
    """
    before = torch.get_num_threads()
    threads = threads_to_use(before)
    if threads < before:
        torch.set_num_threads(threads)
        load = os.getloadavg()[0]
        logger.info(f"threads: {threads}, not {before}, at a load of {load:.1f}; OMP_NUM_THREADS sets another number")


def threads_to_use(threads: int) -> int:
    """As many of some threads as cores are idle, at least one; all where somebody has set a number."""
    if any(name in os.environ for name in OWN_THREADS) or not hasattr(os, "getloadavg"):
        return threads
    return idle_cores(threads, os.cpu_count() or 1, os.getloadavg()[0], _quota())


def idle_cores(threads: int, cores: int, load: float, quota: float) -> int:
    """Threads that find a core.

    Args:
        threads: that PyTorch would use, which knows the affinity of the process.
        cores: of the machine.
        load: processes that wait or compute on it.
        quota: cores that a container may use.
    """
    return max(1, math.ceil(min(threads, cores - round(load), quota)))


def _quota() -> float:
    words = QUOTA.read_text().split() if QUOTA.is_file() else []
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdigit() else math.inf


def total_memory() -> float:
    """Bytes of the machine; infinity on Windows."""
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if hasattr(os, "sysconf") else math.inf


def free_memory() -> float:
    """Bytes that can be taken without swapping, within the limits of a container; all of the machine's on macOS, and
    infinity on Windows, where Python has no way to ask."""
    free = total_memory()
    if MEMINFO.is_file():
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    for limit, usage in CGROUPS:
        if limit.is_file() and usage.is_file() and (text := limit.read_text().strip()).isdigit():
            free = min(free, max(0, int(text) - int(usage.read_text())))
    return free


def rank() -> int:
    """This process's number in its group, 0 when alone."""
    return idist.get_rank()


def world_size() -> int:
    """Number of processes in the group, 1 when alone."""
    return idist.get_world_size()


def barrier() -> None:
    """Wait for the other processes."""
    idist.barrier()


def deal(items: Sequence[T]) -> list[T]:
    """This process's share of the items, every ``world_size``-th one; with few items some processes get none."""
    return list(items[rank() :: world_size()])


def gather(items: Sequence[T]) -> list[T]:
    """The shares of all processes in the order before :func:`deal`; every process must call it."""
    parts = cast(list[list[T]], idist.all_gather(list(items)))
    return [part[turn] for turn in range(max(map(len, parts))) for part in parts if turn < len(part)]


def from_first(make: Callable[[], T]) -> T:
    """What ``make`` returns in the first process, which alone calls it; every process must call this function."""
    if world_size() == 1:
        return make()
    made = [make()] if rank() == 0 else [None]
    return cast(list[list[T]], idist.all_gather(made))[0][0]


def shard(items: Sequence[T]) -> list[T]:
    """This process's share of the cases as :func:`deal` gives it, or all cases where they are fewer than processes.

    A mean over processes is the same either way, and no process idles while the others wait for it.
    """
    return list(items) if len(items) < world_size() else deal(items)


def average(tensors: Iterable[torch.Tensor]) -> None:
    """Replace floating tensors by their mean over the processes, in one message a dtype."""
    if world_size() == 1:
        return
    groups: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        if tensor.is_floating_point():
            groups.setdefault(tensor.dtype, []).append(tensor)
    for group in groups.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in group])
        flat = cast(torch.Tensor, idist.all_reduce(flat)) / world_size()
        for tensor, part in zip(group, flat.split([t.numel() for t in group]), strict=True):
            tensor.detach().copy_(part.view_as(tensor))


def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Give every process the first one's values, in place."""
    if world_size() == 1:
        return
    for tensor in tensors:
        tensor.detach().copy_(cast(torch.Tensor, idist.broadcast(tensor.detach(), src=0)))


def leave() -> None:
    """Leave the process group, the last step of a distributed command."""
    idist.finalize()
