"""Weights and checkpoints on disk: atomic writing, verified reading, strict loading."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import CheckpointError
from common.files import cannot_write, write_whole

WEIGHTS_NAME = "model.pt"
RESUME_NAME = "last_checkpoint.pt"
SHIPPED_PREFIX = "pretrained"
"""Prefix of the names of all weights that a bundle ships, and of no other file in its ``models``."""

HASH_SUFFIX = ".sha256"
"""Suffix of the file next to released weights that holds their hash as ``sha256sum`` writes it. Training writes none,
and moves it together with the weights that it belongs to."""
HASH_BLOCK = 2**20
"""Bytes read at a time for a hash."""


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write tensors, numbers, strings and dicts of them; the file appears only when all bytes are on disk.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """

    def write(name: str) -> None:
        with open(name, "wb") as file:  # given a path, torch's writer would hide the cause of a failure
            torch.save(content, file)

    try:
        write_whole(path, write)
    except RuntimeError as error:
        if isinstance(cause := error.__context__, OSError):  # such as a full disk
            raise cannot_write(path, cause) from error
        raise


def load(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in it is executed, and every record's checksum is compared.

    Raises:
        CheckpointError: for a missing, empty, truncated, altered or foreign file, or one that holds code; where
            there is a file with its hash (``model.pt.sha256``), for any other content.
    """
    path = Path(path)
    again = "train the bundle, or give the path of weights that it trained"
    if not path.is_file():
        raise CheckpointError(str(path), "exists", "no such file", again)
    _require_released(path)
    try:
        # torch's reader does not verify the checksums it writes, so that a flipped bit would load silently
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(
                str(path), "has sound checksums", f"a damaged record {damaged}", "restore a sound copy"
            )
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # torch and zipfile have a dozen types for a file that is no checkpoint
        # torch's own message on foreign objects starts with how to load them nevertheless
        foreign = "another object" if isinstance(error, pickle.UnpicklingError) else None
        reason = foreign or (str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CheckpointError(str(path), "is a whole checkpoint of tensors only", reason, again) from error
    if not isinstance(content, dict):
        raise CheckpointError(str(path), "holds a dictionary", type(content).__name__, again)
    return content


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Load a raw ``state_dict`` after checking every key, shape and value.

    Raises:
        CheckpointError: where a key is missing or unexpected, a shape differs, or a weight is not finite.
    """
    weights = load(path)
    own = network.state_dict()
    remedy = (
        "give the weights of this network_def, or the network_def of these weights (was demo.yaml used in training?)"
    )
    for rule, kind, names in (
        ("has every weight of the network", "missing", sorted(own.keys() - weights.keys())),
        ("has no other weight", "unexpected", sorted(weights.keys() - own.keys())),
    ):
        if names:
            raise CheckpointError(str(path), rule, f"{len(names)} {kind}, first {names[0]}", remedy)
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.shape != own[name].shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise CheckpointError(f"{path}: {name}", f"has shape {tuple(own[name].shape)}", found, remedy)
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {name}", "is finite", "NaN or infinity", "use an earlier checkpoint")
    network.load_state_dict(weights)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file, by which reports and headers identify weights; a file is hashed once a process."""
    state = os.stat(path)
    return _sha256(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _sha256(path: str, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _require_released(path: Path) -> None:
    """Raise where weights that have a file with their hash are not the released ones."""
    noted = path.with_name(path.name + HASH_SUFFIX)
    if noted.is_file() and noted.read_text().split()[:1] != [(found := sha256(path))]:
        remedy = f"restore the released file, or delete {noted.name} if these weights are your own"
        raise CheckpointError(str(path), f"has the SHA-256 noted in {noted.name}", found, remedy)
