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

from common.weights.info import PRETRAINED_NAME, read_info
from tools.demo import command
from tools.real.rows import Pair, read
from tools.repository import ROOT

BUNDLES = ROOT / "bundles"
OVERLAYS = Path(__file__).parent
BATCH_SIZE = 8
ONE_EPOCH = {
    "max_epochs": 1, "val_interval": 1, "losses::adversarial::weight": 0, "data_check": "false", "augmentation": None,
    "batch_size": BATCH_SIZE,
}  # fmt: skip
"""Of the steps that are asked for, too few for augmentation."""


class Recipe(NamedTuple):
    """How a bundle goes from one contrast to another: pretrained, fine-tuned and from scratch.

    Attributes:
        bundle: its name.
        name: of those of its pretrained weights that are meant.
        training: settings of short trainings, of which each is one epoch; the network is that of the weights.
        overlays: configs beside training and inference alike.
        simulated: configs beside those of a pretraining.
        inference: settings of inference.
    """

    bundle: str
    name: str = PRETRAINED_NAME
    training: Mapping[str, Any] = MappingProxyType({})
    overlays: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    inference: Mapping[str, Any] = MappingProxyType({})

    @property
    def configs(self) -> Path:
        """The folder of the bundle's configs."""
        return BUNDLES / self.bundle / "configs"

    @property
    def weights(self) -> Path:
        """The weights that it ships."""
        return BUNDLES / self.bundle / "models" / self.name


RATES = {"fine-tuned": 2.0e-4, "scratch": 1.0e-3}
"""Learning rates: one that keeps what was learnt, and one that short trainings of these networks do well with."""

PD_TO_T2 = Recipe(
    bundle="pd2t2_dcgan_acm",
    training={**ONE_EPOCH, "losses::gdl::weight": 0, "batch_size": 2, "patch_size": "[40,40,40]"},
)
TO_CT = Recipe(bundle="mr2ct_pix2pix")
WITHOUT_AGENT = Recipe(bundle="cect2ct_rescyclegan")
T1_TO_T2 = Recipe(
    bundle="mr2ct_pix2pix",
    name="pretrained_t1_to_t2.pt",
    training={**ONE_EPOCH, "target": "t2", "pad_size": 176, "crop_size": 160},
    overlays=(str(OVERLAYS / "t1_to_t2"),),
    simulated=(str(OVERLAYS / "t1_to_t2_simulated"),),
    inference={
        "output_dtype": "float32", "exporter::modality": "MR", "exporter::unit": "z-score",
        "exporter::suffix": "synthetic_t2",
    },
)  # fmt: skip


def run(run_id: str, configs: Sequence[str], bundle: str, **settings: Any) -> str:
    """A command of a bundle; returns what it printed, and ends the check where it failed."""
    words = [word for key, value in settings.items() for word in (f"--{key}", "null" if value is None else str(value))]
    done = subprocess.run(command(bundle, run_id, list(configs), *words), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{run_id} of {bundle} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def inferred(recipe: Recipe, source: Path, out: Path, weights: Path | None = None) -> tuple[dict[str, Path], str]:
    """The synthetic volumes of a file, of a series or of the files in a folder, by case, and the warnings with them.

    Args:
        recipe: the bundle.
        source: file, or folder.
        out: folder for the predictions, whose training is used if there is one.
        weights: others than that training's.
    """
    predictions = out / "predictions" / source.stem.split(".")[0]
    places = {"dataset_dir": source, "output_dir": out, "predictions_dir": predictions, "refuse": "false"}
    given = {} if weights is None else {"weights": weights}
    configs = ["inference", *recipe.overlays]
    said = run("inference", configs, recipe.bundle, **places, overwrite="true", **recipe.inference, **given)
    warnings = "\n".join(line for line in said.splitlines() if "UNLIKE" in line)
    return {path.name.split("_synthetic_")[0]: path for path in predictions.glob("*.nii.gz")}, warnings


def infer(recipe: Recipe, source: Path, out: Path, weights: Path | None = None) -> tuple[np.ndarray, str]:
    """The synthetic volume of one case, and the warnings that came with it; arguments of :func:`inferred`."""
    made, warnings = inferred(recipe, source, out, weights)
    (path,) = made.values()
    return read(path), warnings


def trained(recipe: Recipe, row: str, training: Sequence[Pair], folder: Path, steps: int) -> None:
    """A short training on some pairs, in a folder: ``fine-tuned`` from the shipped weights or from ``scratch``."""
    items = [{"case": pair.case, "image": str(pair.source), "label": str(pair.truth)} for pair in training]
    folder.mkdir(parents=True)
    (folder / "cases.json").write_text(json.dumps({"training": items}))
    places = {"datalist": folder / "cases.json", "output_dir": folder}
    own = {"samples_per_epoch": recipe.training["batch_size"] * steps, "learning_rate": RATES[row]}
    if row == "fine-tuned":
        configs, start = [], {"pretrained": "true", "shipped_weights": recipe.name}
    else:
        settings = {name: value for name, value in read_info(recipe.weights).settings.items() if name != "inferer"}
        (folder / "network.yaml").write_text(yaml.safe_dump(settings))
        configs, start = [str(folder / "network")], {}
    configs = ["train", *recipe.overlays, *configs]
    run("training", configs, recipe.bundle, **places, **recipe.training, **own, **start)


def pretrained(
    recipe: Recipe, folder: Path, label_maps: Path | None, further: Sequence[str] = (), **settings: Any
) -> Path:
    """A pretraining on simulations, with further configs and settings; returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    maps = folder / "maps"  # a config, since an option would come after the further ones
    maps.with_suffix(".yaml").write_text(yaml.safe_dump({"label_maps": label_maps and str(label_maps)}))
    configs = ["train", "pretrain", *recipe.overlays, *recipe.simulated, str(maps), *further]
    run("training", configs, recipe.bundle, output_dir=folder, run_dir=folder, **settings)
    return folder / "models" / "model.pt"
