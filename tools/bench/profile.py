"""Profile of a training step: shares of its time by kind of operation, from PyTorch's profiler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from common.devices import single_device
from tools.bench.clock import Row, alternate
from tools.bench.training import PlainLoop, trainer_of

KINDS = {
    "convolution": ("conv",),
    "spectra": ("fft", "bmm"),
    "optimiser": ("adam", "foreach", "addcmul", "addcdiv"),
    "normalisation": ("batch_norm", "instance_norm"),
    "copies": ("copy_", "cat", "clone", "memcpy", "contiguous"),
}
"""Parts of an operator's name; the first kind that fits takes it, and ``other`` what fits none."""


def shares(work: Callable[[], object]) -> tuple[dict[str, float], int]:
    """Share of the time by kind, and how many operators ran (kernels, on an accelerator)."""
    on_cpu = single_device().type == "cpu"
    activity = ProfilerActivity.CPU if on_cpu else ProfilerActivity.CUDA
    with profile(activities=[activity]) as profiler:
        work()
    times: dict[str, float] = dict.fromkeys([*KINDS, "other"], 0.0)
    count = 0
    for event in profiler.key_averages():
        name = event.key.lower()
        kind = next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")
        times[kind] += event.self_cpu_time_total if on_cpu else event.self_device_time_total
        count += event.count
    whole = sum(times.values())
    return {kind: took / whole for kind, took in times.items()}, count


def rows(bundle: str, size: str, data: Path, repeats: int) -> list[Row]:
    """The plain step and the engine's, each with its shares."""
    trainer = trainer_of(bundle, size, data, steps=1)
    batch = trainer._to_device(next(iter(trainer.data_loader)))  # type: ignore[call-overload]
    works: dict[str, Callable[[], object]] = {
        "plain step": partial(PlainLoop(trainer).step, batch),
        "engine's step": partial(trainer.run_step, batch),
    }
    for work in works.values():
        for _ in range(5):
            work()
    times, _ = alternate(list(works.values()), repeats)
    found = []
    for (name, work), took in zip(works.items(), times, strict=True):
        parts, count = shares(work)
        largest = sorted(parts.items(), key=lambda part: -part[1])
        listed = ", ".join(f"{kind} {share:.0%}" for kind, share in largest if share > 0.01)
        found.append(Row(f"{bundle}, {size}: {name}", None, took, f"{count} operations: {listed}"))
    return found
