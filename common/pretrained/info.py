"""The pretrained weights of a bundle and the JSON file beside them, which says what made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from common import checkpoints
from common.errors import CheckpointError

PRETRAINED_NAME = f"{checkpoints.SHIPPED_PREFIX}.pt"
TRAINED_ON = "simulated heads, no patient"


class PretrainedInfo(NamedTuple):
    """What is known of pretrained weights.

    Attributes:
        path: of the weights.
        sha256: of that file.
        settings: of the bundle that the weights need, by name: the size of the network, and how images are prepared.
        profile: what inputs in training looked like; see :mod:`common.pretrained.input_check`.
        seed: of the training.
        commit: of the repository that trained them.
    """

    path: Path
    sha256: str
    settings: dict[str, Any]
    profile: dict[str, list[list[float]]]
    seed: int
    commit: str


def sidecar(path: Path) -> Path:
    """The JSON file that belongs to pretrained weights; a release has them under the name of trained ones."""
    own = path.name.startswith(checkpoints.SHIPPED_PREFIX)
    return path.with_suffix(".json") if own else path.with_name(f"{checkpoints.SHIPPED_PREFIX}.json")


def read_info(path: str | Path) -> PretrainedInfo:
    """What the file beside pretrained weights says, after comparing their hash with it.

    Raises:
        CheckpointError: where weights or file are missing, the file is no such description, or the hash is another.
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
    """What weights were trained on, where they are shipped ones, be it as a release's ``model.pt``; None for others."""
    path = Path(weights)
    return TRAINED_ON if path.name.startswith(checkpoints.SHIPPED_PREFIX) or _is_released(path) else None


def _is_released(path: Path) -> bool:
    about = sidecar(path)
    if not (path.is_file() and about.is_file()):
        return False
    return bool(json.loads(about.read_text()).get("sha256") == checkpoints.sha256(path))
