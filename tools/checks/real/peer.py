"""KonfAI 1.8.7, the framework of a rival, by its own commands: its published recipe of synthesis.

A U-Net++ on a ResNet-34 of five slices, L1, AdamW, flips, one slice a step, the mean of three flipped predictions.
Left out: its loss of SAM's features, whose weights it would fetch, and the tanh at the end of its network.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml

from tools.checks.real.images import read
from tools.checks.real.limited import one_thread, run_limited

WINDOW = [1, 224, 192]
"""A whole slice, of 182 x 218 pixels of 1 mm."""
CLIP = {"min_value": "min", "max_value": "percentile:99.5", "mask": "MASK"}
STANDARDISED = {"transforms": {"Clip": CLIP, "Standardize": {"mask": "MASK"}}, "is_input": True}
SIGNED = {"transforms": {"Clip": CLIP, "Normalize": {"min_value": -1, "max_value": 1}}, "is_input": False}
MASK = {"transforms": "None", "is_input": False}
L1 = {"is_loss": True, "schedulers": {"Constant": {"nb_step": 0, "value": 1}}, "reduction": "mean"}


def write_case(folder: Path, files: Mapping[str, Path], mask: np.ndarray) -> None:
    """Write SOURCE and TARGET, as far as given, and MASK, (X, Y, Z), in RAS."""
    folder.mkdir(parents=True, exist_ok=True)
    volumes = {name: nib.as_closest_canonical(nib.load(path)) for name, path in files.items()}
    affine = volumes["SOURCE"].affine
    volumes["MASK"] = nib.Nifti1Image(mask.astype(np.uint8), affine)
    for name, volume in volumes.items():
        nib.save(volume, folder / f"{name}.nii.gz")


def train(konfai: Path, folder: Path, minutes: float) -> None:
    """Train on ``folder/Dataset`` for so many minutes of processor time; checkpoints in ``folder/Checkpoints``.

    Raises:
        SystemExit: where no checkpoint came of it.
    """
    groups = {name: {"groups_dest": {name: how}} for name, how in (("SOURCE", STANDARDISED), ("TARGET", SIGNED))}
    criterions = {"Model": {"targets_criterions": {"TARGET": {"criterions_loader": {"MAE": L1}}}}}
    trainer = {
        "Model": _model(
            outputs_criterions=criterions,
            optimizer={"name": "AdamW", "lr": 0.001, "weight_decay": 0.001},
            schedulers={"StepLR": {"step_size": 10, "gamma": 0.75, "nb_step": 0}},
        ),
        "Dataset": {**_data("Dataset", groups, [[0, 0.5, 0.5]]), "batch_size": 1, "validation": "None"},
        "train_name": "turns", "manual_seed": 32, "epochs": 100, "it_validation": 20, "save_checkpoint_mode": "BEST",
    }  # fmt: skip
    _write(folder / "Config.yml", {"Trainer": trainer})
    words = [str(konfai), "TRAIN", "-y", "--cpu", "1", "-c", "Config.yml"]
    run_limited(words, folder, minutes, lambda: bool(checkpoints(folder)))


def predicted(konfai: Path, folder: Path) -> np.ndarray:
    """The volume (X, Y, Z) in RAS of the one case of ``folder/Test`` by the best checkpoint."""
    groups = {"SOURCE": {"groups_dest": {"SOURCE": STANDARDISED}}}
    output = {"dataset_filename": "Dataset:nii.gz", "group": "made", "same_as_group": "SOURCE:SOURCE"}
    predictor = {
        "Model": _model(outputs_criterions="None"),
        "Dataset": {**_data("Test", groups, [[0, 0, 1], [0, 1, 0]]), "batch_size": 8},
        "outputs_dataset": {"Model": {"OutputDataset": {**output, "reduction": "Mean"}}},
        "train_name": "turns", "combine": "Mean",
    }  # fmt: skip
    _write(folder / "Prediction.yml", {"Predictor": predictor})
    words = ["PREDICTION", "-y", "--cpu", "1", "-c", "Prediction.yml", "--models", str(checkpoints(folder)[-1])]
    done = subprocess.run([str(konfai), *words], cwd=folder, capture_output=True, text=True, env=one_thread())
    made = sorted(folder.glob("Predictions/**/made.nii.gz"))
    if done.returncode or len(made) != 1:
        raise SystemExit(f"KonfAI predicted nothing:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return read(made[0])


def checkpoints(folder: Path) -> list[Path]:
    """Of a training, the best one last; ``resume_latest.pt`` is none to predict with."""
    return sorted(folder.glob("Checkpoints/**/2*.pt"))


def _model(**more: Any) -> dict[str, Any]:
    kind = {"arch": "UnetPlusPlus", "encoder_name": "resnet34", "encoder_weights": "None", "in_channels": 5}
    return {"classpath": "segmentation.smp.SMP", "SMP": {**kind, "classes": 1, "dim": 2, "patch": "None", **more}}


def _data(place: str, groups: Mapping[str, Any], flips: list[list[float]]) -> dict[str, Any]:
    augmentations = {
        f"DataAugmentation_{number}": {"data_augmentations": {"Flip": {"f_prob": flip, "prob": 1}}, "nb": 1}
        for number, flip in enumerate(flips)
    }
    return {
        "groups_src": {**groups, "MASK": {"groups_dest": {"MASK": MASK}}},
        "augmentations": augmentations,
        "Patch": {"patch_size": WINDOW, "pad_value": -1, "extend_slice": 4},
        "dataset_filenames": [f"./{place}/:a:nii.gz"],
    }


def _write(path: Path, config: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(config, sort_keys=False))
