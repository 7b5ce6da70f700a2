"""Commands of the bundles: inference, fine-tuning on a few cases, pretraining on simulations."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import yaml

from common.weights_info import PRETRAINED_NAME, read_info
from tools.demo import command
from tools.real.rows import Pair, read
from tools.repository import ROOT

BUNDLES = ROOT / "bundles"
WITHOUT = Path(__file__).parent / "without"
"""An overlay for every part of the simulation that is left out; its name says which."""
BRIEF_EPOCHS = 4
BRIEF = {
    "max_epochs": BRIEF_EPOCHS, "constant_epochs": 1, "decay_epochs": 3, "val_interval": BRIEF_EPOCHS,
    "validate::dataset::cases": 1, "network_def::generator::features": "[8,8,16,32,64,8]",
}  # fmt: skip
"""Schedule and network of a short pretraining."""


class Recipe(NamedTuple):
    """A bundle that goes from one contrast to another: pretrained, fine-tuned and from scratch.

    Attributes:
        bundle: its name.
        training: settings of short trainings, of which each is one epoch; the network is that of the weights.
    """

    bundle: str
    training: Mapping[str, Any] = MappingProxyType({})

    @property
    def weights(self) -> Path:
        """The weights that it ships."""
        return BUNDLES / self.bundle / "models" / PRETRAINED_NAME


RATES = {"fine-tuned": 2.0e-4, "scratch": 1.0e-3}
"""Learning rates: one that keeps what was learnt, and one that short trainings of these networks do well with."""

BATCH_SIZE = 8
TO_T2 = Recipe(
    bundle="pd2t2_dcgan_acm",
    training={
        "max_epochs": 1, "val_interval": 1, "loss_weights": "{'adversarial':0,'l1':1,'gdl':0}", "data_check": "false",
        "augmentation": None, "batch_size": BATCH_SIZE, "patch_size": "[32,32,32]",
    },
)  # fmt: skip
TO_CT = Recipe(bundle="mr2ct_pix2pix")
WITHOUT_AGENT = Recipe(bundle="cect2ct_rescyclegan")


def run(run_id: str, configs: Sequence[str], bundle: str, **settings: Any) -> str:
    """A command of a bundle; returns what it printed, and ends the check where it failed."""
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    done = subprocess.run(command(bundle, run_id, list(configs), *words), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{run_id} of {bundle} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def infer(recipe: Recipe, source: Path, out: Path, weights: Path | None = None) -> tuple[np.ndarray, str]:
    """The synthetic volume of a file or series, and the warnings that came with it.

    Args:
        recipe: the bundle.
        source: file, or folder of a series.
        out: folder for the predictions, whose training is used if there is one.
        weights: others than that training's and the shipped ones.
    """
    predictions = out / "predictions" / source.stem.split(".")[0]
    places = {"dataset_dir": source, "output_dir": out, "predictions_dir": predictions, "overwrite": "true"}
    given = {} if weights is None else {"weights": weights}
    said = run("inference", ["inference"], recipe.bundle, **places, **given)
    warnings = "\n".join(line for line in said.splitlines() if "UNLIKE" in line)
    (made,) = predictions.glob("*.nii.gz")
    return read(made), warnings


def trained(recipe: Recipe, row: str, training: Sequence[Pair], folder: Path, steps: int) -> None:
    """A short training on some pairs, in a folder: ``fine-tuned`` from the shipped weights or from ``scratch``."""
    items = [{"case": pair.case, "image": str(pair.source), "label": str(pair.truth)} for pair in training]
    folder.mkdir(parents=True)
    (folder / "cases.json").write_text(json.dumps({"training": items}))
    settings = {name: value for name, value in read_info(recipe.weights).settings.items() if name != "inferer"}
    (folder / "network.yaml").write_text(yaml.safe_dump(settings))
    start = {"pretrained": "true"} if row == "fine-tuned" else {}
    configs = ["train"] if row == "fine-tuned" else ["train", str(folder / "network")]
    places = {"datalist": folder / "cases.json", "output_dir": folder}
    own = {"samples_per_epoch": BATCH_SIZE * steps, "learning_rate": RATES[row]}
    run("training", configs, recipe.bundle, **places, **recipe.training, **own, **start)


def pretrained_briefly(
    recipe: Recipe, folder: Path, label_maps: Path, further: Sequence[str], steps: int, seed: int
) -> Path:
    """A pretraining of so many steps on simulations, with further configs; returns its weights."""
    folder.mkdir(parents=True)
    maps = folder / "maps"  # a config, since an option would come after the further ones
    maps.with_suffix(".yaml").write_text(yaml.safe_dump({"label_maps": str(label_maps)}))
    own = {"batch_size": BATCH_SIZE, "samples_per_epoch": steps * BATCH_SIZE // BRIEF_EPOCHS, "seed": seed}
    places = {"output_dir": folder, "run_dir": folder}
    run("training", ["train", "pretrain", str(maps), *further], recipe.bundle, **places, **BRIEF, **own)
    return folder / "models" / "model.pt"
