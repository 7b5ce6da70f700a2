"""A training step of a demo, here and in the folder of an older commit: processor time of one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.config import read_config
from tools.bench.clock import Timing, in_turns
from tools.demo import command
from tools.repository import config_path

STAGES = {"mr2ct_pix2pix": 1, "pd2t2_dcgan_acm": 2}
"""Bundles, and the stages that a training goes through."""
BATCH = 4
FEW, MANY = 10, 60
"""Steps of a stage in two trainings, of which the difference has no start and no validation."""


def rows(data: Path, repeats: int, before: Path) -> list[Timing]:
    """Seconds of a step of each bundle, in an older folder and here."""
    return [_row(bundle, data, repeats, before) for bundle in STAGES]


def _row(bundle: str, data: Path, repeats: int, before: Path) -> Timing:
    cases, steps = data / f"{bundle}_training", (MANY - FEW) * STAGES[bundle]
    phantoms: Any = read_config(config_path(bundle, "train")).get_parsed_content("phantoms")
    phantoms(cases)
    old_commands, new_commands = (_commands(bundle, cases, data / side) for side in ("before", "after"))
    short, long = in_turns(old_commands, new_commands, repeats, before)
    old, new = ((much - little) / steps for little, much in zip(short, long, strict=True))
    return Timing(f"{bundle}, a training step of the demo: {before.name}, this", old, new)


def _commands(bundle: str, cases: Path, out: Path) -> list[list[str]]:
    """What follows ``python`` of a training of few and one of many steps."""
    words = ["--dataset_dir", str(cases), "--data_check", "false", "--max_epochs", "1", "--constant_epochs", "1"]
    words += ["--decay_epochs", "0", "--batch_size", str(BATCH), "--output_dir", str(out), "--samples_per_epoch"]
    return [command(bundle, "training", ["train", "demo"], *words, str(BATCH * steps))[3:] for steps in (FEW, MANY)]
