"""Every training config at demo size on the same phantoms, with the demo's settings and with its own, as one table.

With its own settings (``defaults``) a config takes the sizes of networks and images from the demo, since a CPU has to
bear it, and nothing else: weights of losses, rates, batch, norms, pools and augmentation are those of ``train.yaml``
and of the overlay. Adam moves a weight by about its rate in each step, so such a run has as many steps as give the
demo's product of steps and rate. Exit code 1 where the published settings learn nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.evaluation.report.tables import number
from common.files import write_text
from common.training.handlers import LOG_NAME
from tools.demo import command, run_all
from tools.repository import ROOT, bundle_names, own_settings, trained_overlays

EPOCHS = ("max_epochs", "constant_epochs", "decay_epochs")
SIZES = (
    *("depth", "width", "patch_layers", "pad_size", "crop_size", "patch_size", "patches_per_case"),
    "samples_per_epoch",
)
"""Settings of a demo that make networks and images small."""
MEASURES = ("vessel_mae", "kid", "mae")
"""The metric of a bundle, the first of these that its evaluation has; smaller is better."""
UNTRAINED = ("copy_input", "linear_fit", "noise")
"""Methods of an evaluation that have learnt nothing."""
CONTROLS = {
    ("cect2ct_rescyclegan", "no_adversarial"), ("cect2ct_rescyclegan", "published"), ("pd2t2_dcgan_acm", "published")
}  # fmt: skip
"""Configs that are not meant to learn, or do not in the epochs that a check can wait for."""
SETTINGS = ("demo", "defaults")


class TrainedRow(NamedTuple):
    """A config's line of the table. NaN: not measured, such as the evaluation of a pretraining."""

    config: str
    epochs: int
    first_loss: float
    last_loss: float
    untrained: float
    demo: float
    defaults: float
    control: bool = False

    @property
    def learns(self) -> bool:
        """Whether the last settings trained beat what has learnt nothing; where nothing was scored, if the loss fell.

        Those are the config's own, unless the demo's alone were asked for.
        """
        if math.isnan(self.untrained):
            return self.last_loss < self.first_loss
        return (self.demo if math.isnan(self.defaults) else self.defaults) < self.untrained


def trained_configs(bundle: str) -> list[str]:
    """``train``, and the overlays that train another model."""
    return ["train", *trained_overlays(bundle)]


def epochs(own: Mapping[str, Any], demo: Mapping[str, Any], length: float) -> dict[str, int]:
    """Settings of a run with the demo's product of steps and rate, times ``length``, and at most its own epochs.

    An epoch is as many images in both. The share of epochs with falling rates is the config's own.
    """
    longer = demo["learning_rate"] / own["learning_rate"] * own["batch_size"] / demo["batch_size"]
    total = max(1, min(own["max_epochs"], math.ceil(length * demo["max_epochs"] * longer)))
    falling = round(total * own["decay_epochs"] / (own["constant_epochs"] + own["decay_epochs"]))
    return dict(zip((*EPOCHS, "val_interval"), (total, total - falling, falling, total), strict=True))


def options_of(bundle: str, config: str, length: float) -> dict[str, Any]:
    """The options by which a config is trained at the demo's sizes with its own settings."""
    own, demo = own_settings(bundle, "train", config), own_settings(bundle, "train", "demo")
    given, top = own_settings(bundle, "demo"), own_settings(bundle, config)
    kept = top if top.get("variant") else {}  # such as the depth of another kind of network
    sizes = {name: given[name] for name in SIZES if name in given and name not in kept}
    if own.get("samples_per_epoch"):
        sizes |= {"samples_per_epoch": own["samples_per_epoch"]}
    return sizes | epochs(own, demo, length)


def training(bundle: str, config: str, settings: str, folder: Path, length: float) -> list[str]:
    """The command that trains a config with the demo's settings or with its own."""
    overlay = [] if config == "train" else [config]
    if settings == "demo":
        demo = own_settings(bundle, "demo")
        overlay, options = ["demo", *overlay], {name: demo[name] for name in EPOCHS if name in demo}
    else:
        options = options_of(bundle, config, length)
    words = [word for name, value in options.items() for word in (f"--{name}", json.dumps(value))]
    output = str(output_dir(bundle, config, folder))
    return command(bundle, "training", ["train", *overlay], *words, "--output_dir", output)


def alone(bundle: str, config: str) -> bool:
    """Whether a config has an output of its own and is evaluated with it: ``train``, and another task's overlay."""
    return "output_dir" in own_settings(bundle, config)


def output_dir(bundle: str, config: str, folder: Path) -> Path:
    """Where a config is trained to, and where its evaluation lies."""
    return folder / config if alone(bundle, config) and config != "train" else folder


def run_dir(bundle: str, config: str, folder: Path) -> Path:
    """The run of a config within its output."""
    variant, output = own_settings(bundle, config).get("variant"), output_dir(bundle, config, folder)
    if variant:
        return output / "variants" / variant
    return output if alone(bundle, config) else output / "pretraining"


def evaluations(bundle: str, configs: Sequence[str], folder: Path) -> list[list[str]]:
    """The commands that evaluate some trained configs; variants are evaluated with the main model, if that is there."""
    overlays = [[config] for config in configs if alone(bundle, config) and config != "train"]
    if (folder / "models" / "model.pt").is_file():
        overlays.insert(0, [])
    return [
        command(bundle, "evaluating", ["train", "evaluate", *own], "--output_dir", str(folder.joinpath(*own)))
        for own in overlays
    ]


def row_of(bundle: str, config: str, folders: Mapping[str, Path]) -> TrainedRow:
    """Read what the trainings of a config and the evaluations wrote, by the settings trained with."""
    *_, last = folders
    with open(run_dir(bundle, config, folders[last]) / LOG_NAME, newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    method = own_settings(bundle, config).get("variant") or ("model" if alone(bundle, config) else "")
    outputs = {name: output_dir(bundle, config, folder) for name, folder in folders.items()}
    scores = {name: _scores(output / "evaluation" / "summary.json") for name, output in outputs.items()}
    untrained = next((own for name, own in scores[last].items() if name in UNTRAINED and method), math.nan)
    demo, defaults = (scores.get(name, {}).get(method, math.nan) for name in SETTINGS)
    control = (bundle, config) in CONTROLS
    return TrainedRow(config, len(losses), losses[0], losses[-1], untrained, demo, defaults, control)


def _scores(summary: Path) -> dict[str, float]:
    """The bundle's measure of each method; none before an evaluation."""
    methods = json.loads(summary.read_text()) if summary.is_file() else {}
    measure = next((name for name in MEASURES if name in methods.get("model", {})), "")
    return {method: cells[measure]["mean"] for method, cells in methods.items() if measure in cells}


def table(rows: Sequence[TrainedRow]) -> str:
    """A line for each config, its verdict last."""
    lines = [["config", "epochs", "loss first", "last", "untrained", *SETTINGS, ""]]
    for row in rows:
        verdict = "control" if row.control else "learns" if row.learns else "DOES NOT LEARN"
        values = (row.first_loss, row.last_loss, row.untrained, row.demo, row.defaults)
        lines.append([row.config, str(row.epochs), *map(number, values), verdict])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Train and evaluate all, print a table for each bundle; 1 if a config does not learn."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.defaults", description=__doc__)
    parser.add_argument("bundles", nargs="*", choices=[*bundle_names(), []], help="default: all")
    parser.add_argument("--configs", nargs="+", help="default: train and every overlay that trains")
    parser.add_argument("--settings", choices=SETTINGS, nargs="+", default=SETTINGS, help="default: both")
    parser.add_argument(
        "--length", type=float, default=1.0, help="length of the defaults, relative to the demo's steps x rate"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "defaults-check")
    given = parser.parse_args(arguments)
    tables, failed = [], False
    for bundle in given.bundles or bundle_names():
        configs = given.configs or trained_configs(bundle)
        folders = {name: given.out / bundle / name for name in SETTINGS if name in given.settings}
        for name, folder in folders.items():
            steps = [training(bundle, config, name, folder, given.length) for config in configs]
            if code := run_all(steps) or run_all(evaluations(bundle, configs, folder)):
                return code
        rows = [row_of(bundle, config, folders) for config in configs]
        failed |= not all(row.learns or row.control for row in rows)
        tables.append(f"{bundle}\n{table(rows)}")
        write_text(given.out / bundle / "table.json", json.dumps([row._asdict() for row in rows], indent=2) + "\n")
    print("\n" + "\n\n".join(tables))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
