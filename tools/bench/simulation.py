"""Simulated training samples: seconds that a sample takes to draw, beside those of its training step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tools.bench.clock import Row, alternate
from tools.bench.training import batch_of, trainer_of
from tools.repository import bundle_names, trained_overlays

OVERLAY = "pretrain"
BUNDLES = [name for name in bundle_names() if OVERLAY in trained_overlays(name)]


def samples_of(bundle: str, data: Path, label_maps: Path | None, cases: int, repeats: int, **settings: Any) -> Row:
    """Seconds a sample of a pretraining: its step, and its share of drawing and preparing a case."""
    maps = {} if label_maps is None else {"label_maps": str(label_maps)}
    trainer = trainer_of(bundle, "published", data, 1, OVERLAY, **{"num_workers": 0, **maps, **settings})
    loader: Any = trainer.data_loader
    dataset, batch = loader.dataset, batch_of(trainer)
    drawn = iter(range(10**6, 10**9))

    def draw() -> None:
        for _ in range(cases):
            dataset.case(0, next(drawn))

    works: list[Callable[[], object]] = [partial(trainer.run_step, batch), draw]
    for work in works:
        work()
    step, case = alternate(works, repeats)[0]
    heads = "average head" if label_maps is None else "label maps"
    before, after = step / loader.batch_size, case / cases / dataset.samples_per_case
    note = f"{1 / before:.3g} samples a second trained on, {1 / after:.3g} drawn; a case takes {case / cases:.2g} s"
    return Row(f"{bundle}, {heads}: step, simulation of a sample", before, after, note)
