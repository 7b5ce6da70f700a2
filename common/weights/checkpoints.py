"""Weights and checkpoints on disk: atomic writing, verified reading, strict loading."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..files import cannot_write, file_hash, parse_json, write_whole

WEIGHTS_NAME = "model.pt"
RESUME_NAME = "last_checkpoint.pt"

TRAIN = "train the bundle first, or pass --output_dir or --weights FILE"


def save(content: Mapping[str, Any], path: Path, before: Callable[[str], None] | None = None) -> None:
    """Write tensors, numbers, strings and dicts of them; the file appears only when all bytes are on disk.

    Args:
        content: of the file.
        path: of the file.
        before: is called with the SHA-256 of the new file just before that replaces an earlier one.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """

    def write(name: str) -> None:
        with open(name, "wb") as file:  # given a path, torch's writer would hide the cause of a failure
            torch.save(content, file)
        if before is not None:
            before(sha256(name))

    try:
        write_whole(path, write)
    except RuntimeError as error:
        if isinstance(cause := error.__context__, OSError):  # such as a full disk
            raise cannot_write(path, cause) from error
        raise


def load(path: str | Path, remedy: str = "train the bundle, or pass weights that it trained") -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in it is executed, and every record's checksum is compared.

    Args:
        path: of the file.
        remedy: for a file that is no whole checkpoint.

    Raises:
        CheckpointError: for a missing, empty, truncated, altered or foreign file, or one that holds code; where
            there is a file with its hash (``model.json``), for any other content.
    """
    path = Path(path)
    require_same_hash(path)
    try:
        # torch's reader does not verify the checksums it writes, so that a flipped bit would load silently
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path} has a damaged record, {damaged}", "restore a sound copy")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # torch and zipfile have a dozen types for a file that is no checkpoint
        # torch's own message on foreign objects starts with how to load them nevertheless
        foreign = "another object" if isinstance(error, pickle.UnpicklingError) else None
        reason = foreign or (str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CheckpointError(f"{path} is not a PyTorch state_dict ({reason})", remedy) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a dictionary", remedy)
    return content


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision; integers, such as counts of batches, and statistics of BatchNorm are kept.

    The variance of activations has no scale of its own: half precision ends at 65504.

    Raises:
        CheckpointError: a weight is not finite in half precision.
    """
    kept = ("running_mean", "running_var")
    small = {
        name: value if not value.is_floating_point() or name.endswith(kept) else value.half()
        for name, value in weights.items()
    }
    for name, value in small.items():
        if not torch.isfinite(value).all():
            largest = float(weights[name].abs().max())
            raise CheckpointError(
                f"{name}, up to {largest:g}, is not finite in half precision", "train with a lower --learning_rate"
            )
    return small


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Load a raw ``state_dict``, or the deployed network of a checkpoint, after checking every key, shape and value.

    Raises:
        CheckpointError: where a key is missing or unexpected, a shape differs, or a weight is not finite.
    """
    try:
        weights = _deployed(load(path))
    except (AttributeError, KeyError, TypeError) as error:
        damage = f"{path} has a damaged trainer ({error!r})"
        raise CheckpointError(damage, "resume from a whole checkpoint, or pass models/model.pt") from error
    own = network.state_dict()
    remedy = "pass the weights of this network_def, or the network_def of these weights"
    for kind, names in (("missing", own.keys() - weights.keys()), ("unexpected", weights.keys() - own.keys())):
        if names:
            count = f"{len(names)} weights {kind}, first {min(names)}"
            raise CheckpointError(f"{path} does not fit the network ({count})", remedy)
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.shape != own[name].shape:
            given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"type {type(value).__name__}"
            raise CheckpointError(f"{path}: {name} has {given}, not shape {tuple(own[name].shape)}", remedy)
        kinds = [(each.is_complex(), each.is_floating_point()) for each in (value, own[name])]
        if value.layout is not torch.strided or value.is_meta or kinds[0] != kinds[1]:
            given = "meta" if value.is_meta else f"{value.layout}, {value.dtype}".replace("torch.", "")
            raise CheckpointError(f"{path}: {name} is {given}, not {own[name].dtype}", remedy)
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} has NaN or infinity", "use an earlier checkpoint")
    network.load_state_dict(weights)


def _deployed(content: dict[str, Any]) -> dict[str, Any]:
    """The weights that a checkpoint of a run would deploy, which are averaged where that is on; others as they are."""
    if not content.keys() >= {"trainer", "deployed"}:
        return content
    trainer, place = content["trainer"], f"{content['deployed']}."
    if trainer["ema"] is not None:
        trainer, place = {"networks": trainer["ema"]}, "module."
    return {name.removeprefix(place): value for name, value in trainer["networks"].items() if name.startswith(place)}


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file, by which reports and headers identify weights; a file is hashed once a process."""
    state = os.stat(path)
    return _sha256(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _sha256(path: str, size: int, changed: int) -> str:
    return file_hash(path)


def require_same_hash(path: Path, remedy: str = TRAIN) -> None:
    """Refuse weights that do not exist, or that are not those that the JSON file next to them describes.

    Args:
        path: of the weights.
        remedy: where there are none.

    Raises:
        CheckpointError: no such file, or another hash.
    """
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}", remedy)
    about = path.with_suffix(".json")
    if not about.is_file():
        return
    restore = "restore the file, or train the bundle"
    try:
        metadata = parse_json(about.read_text())
    except ValueError as error:
        raise CheckpointError(f"{about} is not valid JSON ({error})", restore) from error
    if not isinstance(metadata, dict) or "sha256" not in metadata:
        raise CheckpointError(f"{about} has no sha256 of the weights next to it", restore)
    recorded = [metadata["sha256"], metadata.get("replaces")]
    if (own := sha256(path)) not in recorded:
        remedy = f"restore the file that {about.name} describes, or copy both files from where these were trained"
        raise CheckpointError(f"{path} has the SHA-256 {own}, not the {recorded[0]} of {about.name}", remedy)
