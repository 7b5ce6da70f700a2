"""Where the work runs: one device, or one a process under torchrun. No other module names a kind of device."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def single_device() -> torch.device:
    """The accelerator PyTorch finds, else the CPU."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def distributed_device() -> torch.device:
    """Join the process group that torchrun set up and return this process's own device.

    Uses NCCL on CUDA devices and gloo on CPUs. Outside torchrun it is :func:`single_device`.
    """
    if "WORLD_SIZE" not in os.environ:
        return single_device()
    device = single_device()
    if device.type != "cpu":
        device = torch.device(device.type, int(os.environ["LOCAL_RANK"]))
        torch.accelerator.set_device_index(device.index)
    if not dist.is_initialized():
        dist.init_process_group("gloo" if device.type == "cpu" else "nccl")
    return device


def rank() -> int:
    """This process's number in its group, 0 when alone."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """How many processes work together, 1 when alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def barrier() -> None:
    """Wait for the other processes."""
    if world_size() > 1:
        dist.barrier()


def deal(items: Sequence[T]) -> list[T]:
    """This process's part of some cases: each falls to one process, and some may get none."""
    return list(items[rank() :: world_size()])


def gather(items: Sequence[T]) -> list[T]:
    """The parts of all processes in the order in which :func:`deal` gave them out; every process must call it."""
    if world_size() == 1:
        return list(items)
    parts: list[list[T]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, list(items))
    return [part[turn] for turn in range(max(map(len, parts))) for part in parts if turn < len(part)]


def shard(items: Sequence[T]) -> list[T]:
    """This process's part of some cases: each case falls to one process.

    With fewer cases than processes everybody takes them all: the mean over processes is the same, and none idles while
    the others wait for it.
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
        dist.all_reduce(flat)
        flat /= world_size()
        for tensor, part in zip(group, flat.split([t.numel() for t in group]), strict=True):
            tensor.detach().copy_(part.view_as(tensor))


def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Give every process the first one's values."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.detach(), src=0)


def leave() -> None:
    """Leave the process group, the last step of a distributed command."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
