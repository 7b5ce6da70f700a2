"""The largest training that fits: sizes in the order in which they are preferred, against memory and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import ConfigError
from .cost import Step
from .schedule import LEAST_STEPS, steps_within

GB = 1e9
MOST_OF_DATA = 0.05
"""Share of the voxels of the data set in a batch at most, as in nnU-Net."""
MOST_SAMPLES = 16
"""In a batch; larger ones have not been tried with these methods."""
NARROWEST = 4
"""The part of the bundle's own width below which no network is planned."""


class Budget(NamedTuple):
    """What a training may take: GB (10^9 bytes) of the device, hours (None: no limit), 10^12 operations a second."""

    memory_gb: float
    hours: float | None
    teraflops: float


class Sizes(NamedTuple):
    """Sizes of a training: side of a sample along each axis, halvings (0 where there is no such setting), width,
    samples of a batch."""

    size: tuple[int, ...]
    depth: int
    width: int
    batch_size: int


def batches(wanted: int, least: int) -> Iterator[int]:
    """A batch size and its halves down to the least one."""
    while wanted > least:
        yield wanted
        wanted //= 2
    yield least


def widths(own: int, is_fixed: bool) -> list[int]:
    """The bundle's width, and its halves down to a quarter."""
    return [own] if is_fixed else [own // part for part in (1, 2, NARROWEST) if own % part == 0 and own >= part]


def candidates(
    sizes: Sequence[tuple[tuple[int, ...], int]], wanted: int, least: int, of_widths: Sequence[int]
) -> Iterator[Sizes]:
    """The wanted sizes first; then a smaller batch, smaller samples, at last a narrower network."""
    for number, width in enumerate(of_widths):
        for size, depth in sizes if number == 0 else sizes[-1:]:
            for batch in batches(wanted, least):
                yield Sizes(size, depth, width, batch)


def first_that_fits(
    sizes: Iterable[Sizes], cost: Callable[[Sizes], Step], budget: Budget, stages: int
) -> tuple[Sizes, Step]:
    """The first sizes whose step fits into the memory, and ``LEAST_STEPS`` of it for each stage into the time.

    Raises:
        ConfigError: none does; names what the last ones need.
    """
    for each in sizes:
        step = cost(each)
        limit = steps_within(budget.hours, step.operations, budget.teraflops)
        is_slow = limit is not None and limit < LEAST_STEPS * stages
        if step.memory <= budget.memory_gb * GB and not is_slow:
            return each, step
    described = f"batch {each.batch_size} of {' x '.join(map(str, each.size))}, width {each.width}"
    if step.memory > budget.memory_gb * GB:
        rule = f"holds a step of the smallest plan ({described})"
        raise ConfigError(
            "--memory_gb", rule, f"{budget.memory_gb:g}, {step.memory / GB:.2g} needed", "give more memory"
        )
    rule = f"has time for {LEAST_STEPS * stages} steps of the smallest plan ({described})"
    found = f"{budget.hours:g} hours at {budget.teraflops:g} TFLOP/s, which are {limit}"
    raise ConfigError("--hours", rule, found, "give more time, or the device's --teraflops")
