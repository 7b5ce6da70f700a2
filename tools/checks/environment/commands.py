"""Commands that a user of a release types, on phantoms that are written beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from common.config import read_config
from tools.repository import ROOT
from tools.verify.schema import FOLDER

SMALL = {"phantoms::cases": 4, "phantoms::spacing": 5}
"""Two heads to train on, one to validate and one to test, in 5 mm."""
ONE_EPOCH = ("--max_epochs", "1", "--samples_per_epoch", "4", "--val_interval", "1", "--batch_size", "2")
SCHEMA = FOLDER / "metadata_zoo.json"
"""Our description of MONAI's schema, which :func:`monai.bundle.verify_metadata` then does not download."""
Command = tuple[str, list[str]]
"""What a command does, and its words after ``python``."""


def write_phantoms(bundle: str, folder: Path) -> Path:
    """Draw the phantoms of a bundle of the repository; they need packages that its metadata do not name."""
    config = read_config([ROOT / "bundles" / bundle / "configs" / "train.yaml"], **SMALL)
    config.get_parsed_content("phantoms")(folder)
    return folder


def use(folder: Path, data: Path) -> Iterator[Command]:
    """Inference with the weights of the release, where it has some; an epoch of training; inference with its weights.

    Args:
        folder: of the unpacked release, from which the commands are run.
        data: its phantoms.
    """
    train, inference = (yaml.safe_load((folder / "configs" / f"{n}.yaml").read_text()) for n in ("train", "inference"))
    volumes = ["--samples", "4"] if "samples" in inference else ["--dataset_dir", str(data), "--refuse", "false"]
    patches = ["--patch_size", "[16,16,16]"] if isinstance(train.get("patch_size"), list) else []
    infer = _monai("run", "inference", "--config_file", "configs/inference.yaml", *volumes)
    if (folder / "models" / "model.pt").is_file():
        yield "inference, released weights", infer
    both = "['configs/train.yaml','configs/demo.yaml']"
    settings = ("--dataset_dir", str(data), *ONE_EPOCH, *patches)
    yield "training, one epoch", _monai("run", "training", "--config_file", both, *settings)
    yield "inference, weights of this training", [*infer, "--overwrite", "true"]


def checks() -> Iterator[Command]:
    """What the model zoo's CI runs on a bundle with weights, from inside its folder."""
    files = ("--meta_file", "configs/metadata.json")
    network = (*files, "--net_id", "network_def", "--config_file", "configs/inference.yaml")
    yield "verify_metadata", _monai("verify_metadata", *files, "--filepath", str(SCHEMA))
    yield "verify_net_in_out", _monai("verify_net_in_out", *network)
    weights = ("--ckpt_file", "models/model.pt", "--filepath", "models/model.ts")
    yield "ckpt_export", _monai("ckpt_export", *network, *weights)


def _monai(*words: str) -> list[str]:
    return ["-W", "ignore", "-m", "monai.bundle", *words]
