"""Commands of the bundles: inference, fine-tuning on a few cases, pretraining on simulations."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from common.weights_info import PRETRAINED_NAME
from tools.demo import command
from tools.real.rows import Pair, read
from tools.repository import ROOT

OVERLAYS = Path(__file__).parent
WITHOUT = OVERLAYS / "without"
"""An overlay for every part of the simulation that is left out; its name says which."""
BRIEF = {
    "max_epochs": 4, "constant_epochs": 1, "decay_epochs": 3, "val_interval": 4, "validate::dataset::cases": 1,
    "batch_size": 8,
}  # fmt: skip
"""Schedule of a short pretraining."""
ONE_EPOCH = {
    "max_epochs": 1, "val_interval": 1, "loss_weights::adversarial": 0, "data_check": "false", "augmentation": None,
}  # fmt: skip
"""Of the steps that are asked for, too few for augmentation."""


class Recipe(NamedTuple):
    """How a bundle goes from one contrast to another: pretrained, fine-tuned and from scratch.

    Attributes:
        bundle: its name.
        weights: the name of those of its pretrained weights that are meant.
        training: settings of short trainings, of which each is one epoch; the network is that of the weights.
        overlays: configs beside training and inference alike.
        simulated: configs beside those of a pretraining.
        inference: settings of inference.
    """

    bundle: str
    weights: str = PRETRAINED_NAME
    training: Mapping[str, Any] = MappingProxyType({})
    overlays: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    inference: Mapping[str, Any] = MappingProxyType({})


RATES = {"fine-tuned": 2.0e-4, "scratch": 1.0e-3}
"""Learning rates: one that keeps what was learnt, and one that short trainings of these networks do well with."""

PD_TO_T2 = Recipe(
    bundle="pd2t2_dcgan_acm",
    training={**ONE_EPOCH, "loss_weights::gdl": 0, "batch_size": 2, "patch_size": "[40,40,40]"},
)
T1_TO_CT = Recipe(bundle="mr2ct_pix2pix")

T1_TO_T2 = Recipe(
    bundle="mr2ct_pix2pix",
    weights="pretrained_t1_to_t2.pt",
    training={**ONE_EPOCH, "batch_size": 8, "pad_size": 144, "crop_size": 128},
    overlays=(str(OVERLAYS / "t1_to_t2"),),
    simulated=(str(OVERLAYS / "t1_to_t2_simulated"),),
    inference={
        "output_dtype": "float32", "exporter::modality": "MR", "exporter::unit": "z-score",
        "exporter::suffix": "synthetic_t2",
    },
)  # fmt: skip


def run(run_id: str, configs: Sequence[str], bundle: str, **settings: Any) -> str:
    """A command of a bundle; returns what it printed, and ends the check where it failed."""
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    done = subprocess.run(command(bundle, run_id, list(configs), *words), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{run_id} of {bundle} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def infer(recipe: Recipe, source: Path, out: Path, **settings: Any) -> tuple[np.ndarray, str]:
    """The synthetic volume of a file or series, and the warnings that came with it."""
    predictions = out / "predictions" / source.stem.split(".")[0]
    places = {"dataset_dir": source, "output_dir": out, "predictions_dir": predictions, "overwrite": "true"}
    said = run("inference", ["inference", *recipe.overlays], recipe.bundle, **places, **recipe.inference, **settings)
    warnings = "\n".join(line for line in said.splitlines() if "UNLIKE" in line)
    (made,) = predictions.glob("*.nii.gz")
    return read(made), warnings


def trained(recipe: Recipe, training: Sequence[Pair], folder: Path, steps: int, settings: Mapping[str, Any]) -> None:
    """A short training on some pairs, in a folder."""
    items = [{"case": pair.case, "image": str(pair.source), "label": str(pair.truth)} for pair in training]
    folder.mkdir(parents=True)
    (folder / "cases.json").write_text(json.dumps({"training": items}))
    places = {"datalist": folder / "cases.json", "output_dir": folder}
    samples = {"samples_per_epoch": recipe.training["batch_size"] * steps}
    run("training", ["train", *recipe.overlays], recipe.bundle, **places, **recipe.training, **samples, **settings)


def pretrained(recipe: Recipe, folder: Path, further: Sequence[str] = (), **settings: Any) -> Path:
    """A pretraining on simulations, with further configs and settings; returns its weights."""
    configs = ["train", "pretrain", *recipe.overlays, *recipe.simulated, *further]
    run("training", configs, recipe.bundle, output_dir=folder, run_dir=folder, **settings)
    return folder / "models" / "model.pt"


def pretrained_briefly(recipe: Recipe, folder: Path, further: Sequence[str], steps: int, seed: int) -> Path:
    """The same in so many steps."""
    samples = steps * BRIEF["batch_size"] // BRIEF["max_epochs"]
    return pretrained(recipe, folder, further, **BRIEF, samples_per_epoch=samples, seed=seed)
