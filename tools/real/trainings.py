"""The bundle's commands that a row needs: inference, and a short training on a few cases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from demo import ROOT, command

from real.rows import Pair, read

BUNDLE = "pd2t2_dcgan_acm"
SIZE = {"stages": 1, "width": 8}
"""Of what ``pretrain.yaml`` trains."""

TRAINING = {
    "loss_weights::adversarial": 0, "loss_weights::gdl": 0, "batch_size": 2, "patch_size": "[40,40,40]",
    "max_epochs": 1, "val_interval": 1, "data_check": "null",
}  # fmt: skip
"""Fine-tuned and from scratch alike, the network as shipped; one epoch, of the steps that are asked for."""


def run(run_id: str, configs: list[str], bundle: str, **settings: Any) -> str:
    """A command of a bundle; returns what it printed, and ends the check where it failed."""
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    done = subprocess.run(command(bundle, run_id, configs, *words), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{run_id} of {bundle} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def infer(bundle: str, source: Path, out: Path, **settings: Any) -> tuple[np.ndarray, str]:
    """The synthetic volume of a file or series, and the warnings that came with it."""
    predictions = out / "predictions" / source.stem.split(".")[0]
    places = {"dataset_dir": source, "output_dir": out, "predictions_dir": predictions, "overwrite": "true"}
    said = run("inference", ["inference"], bundle, **places, **settings)
    warnings = "\n".join(line for line in said.splitlines() if "UNLIKE" in line)
    (made,) = predictions.glob("*.nii.gz")
    return read(made), warnings


def trained(training: Sequence[Pair], folder: Path, steps: int, settings: Mapping[str, Any]) -> Path:
    """A short training on some pairs; returns the folder of the run."""
    items = [{"case": pair.case, "image": str(pair.source), "label": str(pair.truth)} for pair in training]
    folder.mkdir(parents=True)
    (folder / "datalist.json").write_text(json.dumps({"training": items}))
    places = {"datalist": folder / "datalist.json", "output_dir": folder}
    run("training", ["train"], BUNDLE, **places, **{**TRAINING, "samples_per_epoch": 2 * steps, **settings})
    return folder
