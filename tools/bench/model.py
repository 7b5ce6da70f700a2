"""A case by the command and by a model that is loaded: processor time, from file to file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from common.simulation.mr_ct_pairs import write_mr2ct
from tools.bench.clock import Timing, process_seconds, seconds

SIDES_MM = (4.0, 1.25)
"""Voxel sizes of the phantoms: of the small one the start is most of the time."""


def rows(data: Path, repeats: int) -> list[Timing]:
    """Seconds of a case by ``synthesize mr2ct``, and of the second one by :func:`medical_image_synthesis.load`."""
    import medical_image_synthesis as mis

    model = mis.load("mr2ct", device="cpu", refuse=False)
    measured = []
    for side in SIDES_MM:
        folder = data / f"model_{side:g}"
        write_mr2ct(folder, cases=1, spacing=side, seed=0)
        scan = next(folder.glob("*/mr.nii.gz"))
        again = partial(_again, model, scan, folder / "ct.nii.gz")
        again()
        loaded = min(seconds(again)[0] for _ in range(repeats))
        words = ["-m", "medical_image_synthesis", "mr2ct", str(scan)]
        words += ["-o", str(folder / "of_command.nii.gz"), "--refuse", "false", "--overwrite", "--device", "cpu"]
        command = min(process_seconds(words) for _ in range(repeats))
        measured.append(Timing(f"mr2ct, phantom of {side:g} mm", command, loaded))
    return measured


def _again(model: Any, scan: Path, made: Path) -> None:
    model(scan).save(made, overwrite=True)
