"""``synthesize`` from file to file, here and in the folder of an older commit: processor time of one thread."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.bench.clock import Timing, in_turns
from tools.bench.volumes import write_source

SHAPES = {"mr2ct": (182, 218, 182), "pd2t2": (182, 218, 182), "ldct": (512, 512, 100)}
"""Commands that have shipped weights, and a volume of 1 mm for each."""
AIR = {"ldct": -1000.0}
MORE = 2
"""Cases of a folder besides the first: what they add has no start."""


def rows(data: Path, repeats: int, before: Path, images: Mapping[str, str]) -> list[Timing]:
    """Seconds of a case by each command, and of a further case of a folder.

    Args:
        data: folder for volumes and results.
        repeats: how often each command runs in each folder.
        before: folder of an older commit with its ``.venv``.
        images: volumes (``.nii.gz``) for the commands that are measured; none: all, with a ball in air.
    """
    return [
        row for name in images or SHAPES for row in _of_command(name, data / name, repeats, before, images.get(name))
    ]


def _of_command(name: str, data: Path, repeats: int, before: Path, image: str | None) -> list[Timing]:
    folder = data / "cases"
    folder.mkdir(parents=True)
    first = folder / "case_0.nii.gz"
    if image:
        shutil.copyfile(image, first)
    else:
        write_source(first, SHAPES[name], 900.0, air=AIR.get(name, 0.0))
    for number in range(1, 1 + MORE):
        shutil.copyfile(first, folder / f"case_{number}.nii.gz")
    old_commands, new_commands = (
        [_command(name, work, data / side) for work in (first, folder)] for side in ("old", "new")
    )
    (old, new), (old_all, new_all) = in_turns(old_commands, new_commands, repeats, before)
    case = f"{name}: {before.name}, this"
    return [Timing(case, old, new), Timing(f"{case}, a further case", (old_all - old) / MORE, (new_all - new) / MORE)]


def _command(name: str, source: Path, out: Path) -> Sequence[str]:
    """What follows ``python``."""
    made = out / source.name
    words = ["-m", "medical_image_synthesis", name, str(source), "-o", str(made), "--overwrite", "--refuse", "false"]
    return [*words, "--device", "cpu"]
