"""Metadata of pretrained weights: the JSON file next to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from common import checkpoints
from common.errors import CheckpointError

PRETRAINED_NAME = f"{checkpoints.SHIPPED_PREFIX}.pt"
TRAINED_ON = "simulated heads, no patient"


class PretrainedInfo(NamedTuple):
    """Metadata of pretrained weights.

    Attributes:
        path: the weights' file.
        sha256: hash of that file.
        settings: the bundle's settings that the weights need, by name: network size and preprocessing.
        profile: distribution of the training inputs; see :mod:`common.trained.input_check`.
        seed: seed of the training.
        commit: commit of the repository at the training.
    """

    path: Path
    sha256: str
    settings: dict[str, Any]
    profile: dict[str, list[list[float]]]
    seed: int
    commit: str


def sidecar(path: Path) -> Path:
    """Path of the JSON file of pretrained weights, also for weights that a release stores as ``model.pt``."""
    own = path.name.startswith(checkpoints.SHIPPED_PREFIX)
    return path.with_suffix(".json") if own else path.with_name(f"{checkpoints.SHIPPED_PREFIX}.json")


def read_info(path: str | Path) -> PretrainedInfo:
    """Read the metadata of pretrained weights and verify their hash.

    Raises:
        CheckpointError: weights or metadata are missing, the metadata are invalid, or the hash differs.
    """
    path = Path(path)
    remedy = "restore both files from the repository, or train the bundle"
    for each in (path, sidecar(path)):
        if not each.is_file():
            raise CheckpointError(str(each), "exists", "no such file", remedy)
    try:
        told = json.loads(sidecar(path).read_text())
        about = PretrainedInfo(path, **{name: told[name] for name in PretrainedInfo._fields[1:]})
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(str(sidecar(path)), "describes pretrained weights", error, remedy) from error
    if (found := checkpoints.sha256(path)) != about.sha256:
        rule = f"has the SHA-256 noted in {sidecar(path).name}, {about.sha256}"
        raise CheckpointError(str(path), rule, found, remedy)
    return about


def origin(weights: str | Path) -> str | None:
    """Training data of pretrained weights, also of a release's ``model.pt``; None for other weights."""
    path = Path(weights)
    return TRAINED_ON if path.name.startswith(checkpoints.SHIPPED_PREFIX) or _is_released(path) else None


def _is_released(path: Path) -> bool:
    about = sidecar(path)
    if not (path.is_file() and about.is_file()):
        return False
    return bool(json.loads(about.read_text()).get("sha256") == checkpoints.sha256(path))
