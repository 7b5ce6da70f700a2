"""What of the simulation carries the transfer: short pretrainings without a part of it, each tried on real scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.transforms.head import head_mask
from real.rows import Pair, Row, read, row_of
from real.trainings import BUNDLE, SIZE, infer, run

FOLDER = Path(__file__).parent / "without"
"""An overlay for every part that is left out; its name says which."""

PRETRAINING = {
    "max_epochs": 4, "constant_epochs": 1, "decay_epochs": 3, "val_interval": 4, "validate::dataset::cases": 1,
}  # fmt: skip


def rows_of(pairs: Sequence[Pair], out: Path, steps: int, **settings: Any) -> list[Row]:
    """Every pair by the whole simulation and by each that lacks a part of it, after this many steps of four patches.

    Args:
        pairs: real scans.
        out: where runs and volumes are put.
        steps: of each pretraining.
        settings: further ones of each.
    """
    rows = [row_of(pair, "copy", read(pair.source), head_of(pair)) for pair in pairs]
    for part in (None, *sorted(FOLDER.glob("*.yaml"))):
        name = "whole simulation" if part is None else f"without {part.stem.replace('_', ' ')}"
        folder = out / name.replace(" ", "_")
        chosen = {**PRETRAINING, "samples_per_epoch": steps, "run_dir": folder, **settings}
        files = ["train", "pretrain", *([] if part is None else [str(part.with_suffix(""))])]
        run("training", files, BUNDLE, output_dir=folder, **chosen)
        rows += [row_of(pair, name, image_of(pair, folder), head_of(pair)) for pair in pairs]
        print(f"{name}: done", flush=True)
    return rows


def head_of(pair: Pair) -> Any:
    """The head of a case as inference finds it, (X, Y, Z)."""
    return head_mask(read(pair.source), None, axial=2, case=pair.case)


def image_of(pair: Pair, folder: Path) -> Any:
    """The volume that the weights of a run make of a case."""
    return infer(BUNDLE, pair.source, folder / pair.case, weights=folder / "models" / "model.pt", **SIZE)[0]
