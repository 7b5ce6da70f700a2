"""GAN training on one fold: an ordinary training run of this bundle on that fold's training patients only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from common.config import read_config
from common.data.datalist import Item, write_datalist
from common.files import write_text
from common.raw_settings import settings_of
from common.seeds import derive
from common.weights import checkpoints
from lesion_dcgan_aug.data.selection import split_lesions
from lesion_dcgan_aug.latent import Latent

VALIDATION = 0.15
"""Share of a fold's training patients used to select the GANs' best epoch; they are training patients all the same."""
DONE = "done.json"
OWN = (
    *("bundle_root", "output_dir", "variant", "run_dir", "prepare", "record", "resume", "seed", "training", "run"),
    *("dataset_dir", "demo_data", "phantoms", "datalist", "one_patient_per_file", "data_check", "data"),
)
"""Settings that each fold's run sets itself, and those of its data, which the study gives it."""
HOW = ("device", "num_workers", "acceleration", "tensorboard", "save_interval")
"""Settings that samples do not depend on but for rounding."""


def train_fold_gan(
    folder: Path, config: str | Sequence[str], settings: Mapping[str, Any], training: Sequence[Item], seed: int
) -> tuple[nn.Module, Latent]:
    """Train, resume or reload the GANs of a fold; returns the deployed network with its weights and its latent.

    ``folder`` then holds the run: ``models/model.pt``, ``log.csv``, ``datalist.json``; its ``run.json`` has the study's
    settings.

    Args:
        folder: of the run.
        config: ``train.yaml``, with overlays after it.
        settings: of the study's command; those that ``train.yaml`` has too apply to the GANs.
        training: the fold's training items; some of their patients validate. No other item reaches the run.
        seed: of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder / "asked.json"
    write_datalist(split_lesions(training, (1 - VALIDATION, VALIDATION, 0), seed), asked)
    resume = (folder / "models" / checkpoints.RESUME_NAME).is_file()
    own = {"output_dir": str(folder), "datalist": str(asked), "resume": resume, "seed": derive(seed) % 2**31}
    parser = _composed(config, settings, data_check=False, **own)
    if not (folder / DONE).is_file():
        torch.manual_seed(parser.get_parsed_content("seed"))
        trainer = parser.get_parsed_content("train::trainer")
        trainer.run()
        write_text(folder / DONE, json.dumps({"epochs": trainer.state.epoch, "seed": own["seed"]}) + "\n")
    network = parser.get_parsed_content("network_def")
    checkpoints.load_weights(network, folder / "models" / checkpoints.WEIGHTS_NAME)
    return network, parser.get_parsed_content("validate::dataset::latent")


def decisive_settings(config: str | Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the samples of GANs depend on, of the composed settings of their trainings."""
    composed = settings_of(_composed(config, settings))
    return {key: value for key, value in composed.items() if key not in (*OWN, *HOW)}


def _composed(config: str | Sequence[str], settings: Mapping[str, Any], **own: Any) -> ConfigParser:
    shipped = settings_of(read_config(config))
    known = {key: value for key, value in settings.items() if key in shipped and key not in OWN}
    return read_config(config, **{**known, **own})
