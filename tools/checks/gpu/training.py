"""Training at published size: seconds of a step, peak memory, and whether the loss falls."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from ignite.engine import Events
from torch import Tensor

from common.training import SynthesisTrainer
from common.training.cuda_graph import WARM_UP
from tools.bench.clock import peak_gib, seconds
from tools.checks.findings import CheckFinding
from tools.checks.gpu.recipes import batch_of, recordings, stages, trainer_of

DISTANCES = ("l1", "region_l1", "gdl", "l2")
"""Losses that a few steps lower. A method without them is measured by its discriminators, which learn to tell images
apart before the generators learn to deceive them."""
SLOWEST = 0.95
"""Least ratio of the eager step's seconds to those of the recorded one: no slower, up to the noise of the clock."""
MEASURED_S = 1.5
MOST_STEPS = 50
FALL = 0.98
"""Largest ratio of the mean loss of the last fifth of the steps to that of the first."""
FAST: dict[str, Any] = {"acceleration": {"channels_last": "auto", "fused": "auto", "cuda_graph": "auto"}}
EAGER: dict[str, Any] = {"acceleration": {}}
PRECISION = "train::trainer::precision"
PRECISIONS = ("fp32", "bf16")


def speed(bundle: str, size: str, data: Path, **settings: Any) -> list[CheckFinding]:
    """Seconds and peak memory of an eager and of a recorded step, in 32 bits and in bfloat16, on one batch."""
    found = []
    for precision in PRECISIONS:
        own = {**settings, PRECISION: precision}
        case = f"{bundle}, {size}, {precision}"
        trainer = _fresh(bundle, size, data, **EAGER, **own)
        eager = seconds_a_step(trainer)
        eager_gib = peak_gib()
        del trainer
        trainer = _fresh(bundle, size, data, **FAST, **own)
        found.append(faster(case, eager, seconds_a_step(trainer), eager_gib, peak_gib(), recordings(trainer)))
        del trainer
    return found


def _fresh(bundle: str, size: str, data: Path, **settings: Any) -> SynthesisTrainer:
    """A trainer on a device on which nothing is left of the one before, whose handlers refer to it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    trainer = trainer_of(bundle, size, data, 1, **settings)
    trainer.state.max_epochs = 1
    return trainer


def seconds_a_step(trainer: SynthesisTrainer) -> float:
    """Mean over as many steps as fit into ``MEASURED_S``, after those that choose kernels and record."""
    batch = batch_of(trainer)
    trainer.method.train()

    def run(steps: int) -> None:
        for _ in range(steps):
            trainer.run_step(batch)

    run(WARM_UP + 2)
    once, _ = seconds(partial(run, 1))
    steps = min(MOST_STEPS, max(2, int(MEASURED_S / once)))
    return seconds(partial(run, steps))[0] / steps


def faster(
    case: str, eager: float, recorded: float, eager_gib: float, recorded_gib: float, recordings: int
) -> CheckFinding:
    """The row of one comparison of steps."""
    measured = f"{eager * 1e3:.2f} ms -> {recorded * 1e3:.2f} ms, x{eager / recorded:.2f}"
    note = f"peak memory {eager_gib:.2f} -> {recorded_gib:.2f} GiB, {recordings} recorded"
    passed = recordings > 0 and eager / recorded >= SLOWEST
    return CheckFinding("speed", case, measured, f"recorded, ratio >= {SLOWEST}", passed, note)


def learning(bundle: str, size: str, data: Path, steps: int, limit_s: float, **settings: Any) -> list[CheckFinding]:
    """Steps through the engine on the bundle's own data path, each stage's first; fewer where the time ends."""
    trainer = trainer_of(bundle, size, data, steps, **{**FAST, **settings})
    next(stages(trainer, {}))
    history: list[dict[str, Tensor]] = []
    end = time.perf_counter() + limit_s

    def note(engine: SynthesisTrainer) -> None:
        own = {name: value for name, value in engine.state.output.items() if name in trainer.loss_sums}
        history.append({name: value.detach().clone() for name, value in own.items()})
        if time.perf_counter() > end:
            engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, note)
    trainer.state.max_epochs = 1
    trainer.run()
    losses = {name: [float(each[name]) for each in history] for name in history[0]}
    return [falling(f"{bundle}, {size}", losses, f"peak memory {peak_gib():.2f} GiB")]


def falling(case: str, losses: Mapping[str, Sequence[float]], note: str = "") -> CheckFinding:
    """Whether the watched losses fall, from the first fifth of the steps to the last."""
    names = [name for name in losses if name in DISTANCES] or [n for n in losses if n.startswith("discriminator")]
    watched = [sum(each) for each in zip(*(losses[name] for name in names), strict=True)]
    share = max(1, len(watched) // 5)
    first, last = fmean(watched[:share]), fmean(watched[-share:])
    measured = f"{' + '.join(names)}: {first:.4g} -> {last:.4g} in {len(watched)} steps"
    fell = all(map(math.isfinite, watched)) and last <= FALL * first
    return CheckFinding("learning", case, measured, f"last fifth <= {FALL} of the first", fell, note)
