"""Export of a finished training to the two files that a bundle ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monai.bundle.config_parser import ConfigParser

from common.errors import CheckpointError, OutputError
from common.raw_settings import followed
from common.simulation.mr_contrasts import weightings
from common.weights import checkpoints
from common.weights.info import (
    RUN_NAME,
    SIMULATED,
    bundle_metadata,
    bundle_name,
    commit_of,
    read_info,
    save,
)
from common.weights.shipped import shipped_weights

MAX_BYTES = 16_000_000
"""Largest size of a bundle's weights in the repository."""

RUN_FIRST = "pass the folder of a finished pretraining by --run"


def export(
    bundle: Path,
    run: Path,
    name: str | None = None,
    training: dict[str, Any] | None = None,
) -> Path:
    """Write the weights that a bundle ships, in half precision, and their JSON file into its ``models``.

    The recorded commit is the current one of the repository: export from the files that were used for training.

    Args:
        bundle: the bundle's folder.
        run: folder of the training, with ``models/model.pt`` and ``run.json``.
        name: file name, beginning with ``pretrained``; None for ``shipped_weights`` of the bundle.
        training: how they were trained, such as command and minutes, which is noted.

    Raises:
        CheckpointError: the run has no weights or no ``run.json``, or a weight is not finite in half precision.
        OutputError: the weights are too large to ship.
    """
    source = run / "models" / checkpoints.WEIGHTS_NAME
    checkpoints.require_same_hash(source, RUN_FIRST)
    weights, known = checkpoints.load(source), read_info(source)
    config = _config(run / RUN_NAME)
    halved = checkpoints.halved(weights)
    path = bundle / "models" / name if name else shipped_weights(bundle)
    size = sum(value.numel() * value.element_size() for value in halved.values())
    if size > MAX_BYTES:
        fault = f"{path} would take {size / 1e6:.1f} MB in half precision, {MAX_BYTES / 1e6:g} MB are allowed"
        raise OutputError(fault, "train a narrower network")
    commit = commit_of(bundle)  # before new weights change the repository
    about = {
        **{key: value for key, value in known.metadata.items() if key not in ("sha256", "replaces", "config")},
        "bundle": bundle_name(bundle),
        "version": bundle_metadata(bundle).get("version"),
        "settings": known.settings,
        "trained_on": known.trained_on,
        "shipped": True,
        "seed": config["seed"],
        "commit": commit,
        **({"training": training} if training else {}),
        **(_simulated(config, known.trained_on) if "simulation" in config else {}),
        "config": {key: value for key, value in config.items() if _is_plain(value)}
        | {"loss_weights": _weights(config)},
    }
    save(halved, path, about)
    return path


def _simulated(config: dict[str, Any], trained_on: dict[str, Any]) -> dict[str, Any]:
    """What is known of weights that were trained on simulated heads."""
    return {
        "trained_on": {**trained_on, "data": SIMULATED},
        "simulation": config["simulation"],
        "contrasts": contrasts_simulated(config),
    }


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"no file {path}", RUN_FIRST)
    config: dict[str, Any] = json.loads(path.read_text())["config"]
    return config


def contrasts_simulated(config: dict[str, Any]) -> list[str]:
    """Weightings of the source of a simulation, by its settings; empty where it is no MR."""
    parser = ConfigParser(config)
    return weightings(parser.get_parsed_content("simulation::source")) if "simulation::source" in parser else []


def _weights(config: dict[str, Any]) -> dict[str, Any]:
    """Weight of each loss of a training by its name; none of one with losses by stage."""
    losses = {name: loss for name, loss in config.get("losses", {}).items() if "weight" in loss}
    return {name: followed(config, loss["weight"]) for name, loss in losses.items()}


def _is_plain(value: Any) -> bool:
    """Whether a setting is a number, flag, text, or list or table of these, and not a reference."""
    if isinstance(value, dict):
        return "_target_" not in value and all(_is_plain(part) for part in value.values())
    if isinstance(value, list):
        return all(_is_plain(part) for part in value)
    return not (isinstance(value, str) and value[:1] in ("$", "@", "%", "/"))
