"""Ablation of the simulation: short pretrainings without a part of it, each evaluated on real scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.real.rows import Pair, Row, head_of, read, row_of
from tools.real.trainings import OVERLAYS, T1_TO_T2, infer, pretrained

WITHOUT = OVERLAYS / "without"
"""An overlay for every part that is left out; its name says which."""

SCHEDULE = {
    "max_epochs": 4, "constant_epochs": 1, "decay_epochs": 3, "val_interval": 4, "validate::dataset::cases": 1,
    "batch_size": 8,
}  # fmt: skip


def rows_of(pairs: Sequence[Pair], out: Path, steps: int, seed: int) -> list[Row]:
    """T1 to T2 of every pair, pretrained on the whole simulation and on each that lacks a part of it.

    Args:
        pairs: real scans.
        out: where runs and volumes are put.
        steps: of each pretraining.
        seed: of each.
    """
    rows = [row_of(pair, "copy", read(pair.source), head_of(pair)) for pair in pairs]
    for part in (None, *sorted(WITHOUT.glob("*.yaml"))):
        name = "whole simulation" if part is None else f"without {part.stem.replace('_', ' ')}"
        folder = out / name.replace(" ", "_")
        further = [] if part is None else [str(part.with_suffix(""))]
        samples = steps * SCHEDULE["batch_size"] // SCHEDULE["max_epochs"]
        weights = pretrained(T1_TO_T2, folder, further, **SCHEDULE, samples_per_epoch=samples, seed=seed)
        images = [infer(T1_TO_T2, pair.source, folder / pair.case, weights=weights)[0] for pair in pairs]
        rows += [row_of(pair, name, image, head_of(pair)) for pair, image in zip(pairs, images, strict=True)]
        print(f"{name}: done", flush=True)
    return rows
