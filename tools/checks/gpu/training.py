"""Training at published size: seconds of a step, peak memory, and whether the loss falls."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ignite.engine import Events
from torch import Tensor

from common.training import SynthesisTrainer
from tools.bench.clock import peak_gib
from tools.bench.training import PlainLoop, bare_steps, batch_of, trainer_of
from tools.checks.findings import CheckFinding
from tools.checks.gpu.recipes import stages

DISTANCES = ("l1", "region_l1", "gdl", "l2")
"""Losses that a few steps lower. A method without them is judged by its discriminators, which learn to tell its images
apart before the generators learn to deceive them."""
BATCHES = (1, 4, 64)
SLOWEST = 0.95
"""Least ratio of the plain loop's seconds to ours: no slower, up to the noise of the clock."""
FALL = 0.98
"""Largest ratio of the mean loss of the last fifth of the steps to that of the first."""
FAST: dict[str, Any] = {"acceleration": {"channels_last": "auto", "fused": "auto", "cuda_graph": "auto"}}
PRECISION = "train::trainer::precision"


def speed(
    bundle: str, size: str, data: Path, batches: Sequence[int], steps: int, **settings: Any
) -> list[CheckFinding]:
    """Seconds a step of the plain loop and of ours, in 32 bits and in bfloat16, on one batch of each size."""
    found = []
    for precision in ("fp32", "bf16"):
        own = {**FAST, **settings, PRECISION: precision, "batch_size": max(batches)}
        trainer = trainer_of(bundle, size, data, 1, **own)
        largest = batch_of(trainer)  # of different samples: batch normalisation of copies would divide by nothing
        for count in batches:
            batch = {name: value[:count] for name, value in largest.items()}
            before, after = bare_steps(PlainLoop(trainer), [trainer], batch, steps, repeats=3)
            found.append(faster(f"{bundle}, {size}, batch {count}, {precision}", before, after))
    return found


def faster(case: str, before: float, after: float) -> CheckFinding:
    """The row of one comparison with the plain loop."""
    measured = f"{before * 1e3:.2f} ms -> {after * 1e3:.2f} ms, x{before / after:.2f}"
    note = f"peak memory {peak_gib():.2f} GiB"
    return CheckFinding("speed", case, measured, f"ratio >= {SLOWEST}", before / after >= SLOWEST, note)


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
    begin = time.perf_counter()
    trainer.run()
    took = (time.perf_counter() - begin) / len(history)
    losses = {name: [float(each[name]) for each in history] for name in history[0]}
    return [falling(f"{bundle}, {size}", losses, f"{took * 1e3:.1f} ms a step, peak memory {peak_gib():.2f} GiB")]


def falling(case: str, losses: Mapping[str, Sequence[float]], note: str = "") -> CheckFinding:
    """Whether the watched losses fall, from the first fifth of the steps to the last."""
    names = [name for name in losses if name in DISTANCES] or [n for n in losses if n.startswith("discriminator")]
    watched = [sum(each) for each in zip(*(losses[name] for name in names), strict=True)]
    share = max(1, len(watched) // 5)
    first, last = fmean(watched[:share]), fmean(watched[-share:])
    measured = f"{' + '.join(names)}: {first:.4g} -> {last:.4g} in {len(watched)} steps"
    fell = all(map(math.isfinite, watched)) and last <= FALL * first
    return CheckFinding("learning", case, measured, f"last fifth <= {FALL} of the first", fell, note)
