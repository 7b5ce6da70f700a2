"""Memory and floating-point operations of a training step, counted on tensors without values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..stitching.memory import FLOAT_BYTES, LiveBytes
from ..training.finite import FiniteWatch
from ..training.methods.base import GanMethod
from ..training.methods.staged import StagedMethod
from ..training.step import GanStep

META = torch.device("meta")
ADAM_MOMENTS = 2
MARGIN, WORKSPACE = 1.25, 2e8
"""Factor on the bytes of a step, and bytes besides: workspaces of libraries, and what allocators leave unused. Peaks of
five steps on a CPU were 1.17 to 2.5 times the plain count, and within this [measured]."""


class Step(NamedTuple):
    """Cost of a step: peak memory in bytes, with weights, optimiser and batch; floating-point operations."""

    memory: float
    operations: float


def without_values(method: GanMethod) -> GanMethod:
    """The method with its networks on PyTorch's ``meta`` device, in the last stage where it has several."""
    if isinstance(method, StagedMethod):
        method.enter(len(method.methods) - 1)  # its generator has the most inputs
    method.to(META)
    method.train()
    return method


def step_cost(method: GanMethod, batch_size: int, channels: int, size: Sequence[int], regions: Sequence[str]) -> Step:
    """The cost of a step in fp32, by running it on tensors that have sizes and no values.

    Convolutions count two operations a multiplication, forwards and backwards; those of all networks that the step
    trains. Memory is the largest sum of all tensors alive at a time and of Adam's moments, with ``MARGIN``
    and ``WORKSPACE``; Python and its libraries come on top, 0.6 GB of the host.

    Args:
        method: by :func:`without_values`.
        batch_size: samples of the step.
        channels: of the image.
        size: of a sample, (H, W) or (X, Y, Z).
        regions: keys of the masks in a batch.
    """
    batch = _batch(batch_size, channels, size, regions)
    sides = {"generators": method.generators, "discriminators": method.discriminators}
    optimizers = {  # Adam is not run: its moments are added below
        name: torch.optim.SGD(side.parameters(), lr=0.1, foreach=False)
        for name, side in sides.items()
        if list(side.parameters())
    }
    step = GanStep(method, optimizers, torch.device("cpu"), "fp32", None, FiniteWatch(META), _unheard)
    step.device = META  # for which there is no autocast, not even one that is off
    with LiveBytes() as live, FlopCounterMode(display=False) as counter:
        live.hold([*method.parameters(), *method.buffers(), *batch.values()])
        step(batch)
    trained = sum(each.numel() for each in method.parameters())
    memory = MARGIN * (live.peak + ADAM_MOMENTS * FLOAT_BYTES * trained) + WORKSPACE
    return Step(memory, float(counter.get_total_flops()))


def _unheard(event: Any) -> None:
    """No handler listens to what happens within the step."""


def _batch(batch_size: int, channels: int, size: Sequence[int], regions: Sequence[str]) -> dict[str, Tensor]:
    """Image, label, the context of a later stage, and regions with their counts."""
    widths = {"image": channels, **dict.fromkeys(("label", "context", *regions), 1)}
    batch = {key: torch.empty((batch_size, width, *size), device=META) for key, width in widths.items()}
    if regions:
        batch["region_counts"] = torch.empty((batch_size, len(regions) + 1), device=META)
    return batch
