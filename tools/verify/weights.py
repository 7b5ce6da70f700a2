"""Checks of weights: finite tensors, hashes, fit to the networks."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.verify.bundle import Bundle
from tools.verify.networks import Network, outputs, sound_values
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

NESTED = ("model", "state_dict", "network")
"""Keys under which a checkpoint may hold what should stand alone."""


def read(path: Path) -> Any:
    """What a file of weights holds; nothing in it is executed and each record's checksum is compared."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def state_dict(path: Path) -> tuple[dict[str, Tensor], str]:
    """The weights of a network in a file, and how they lie in it."""
    content = read(path)
    nested = [key for key in NESTED if isinstance(content, dict) and isinstance(content.get(key), dict)]
    return (content[nested[0]], f"under the key {nested[0]}") if nested else (content, "raw state_dict")


@check("weights.tensors", "sound", "torch: weights_only; MONAI Label, Deploy, ckpt_export")
def tensors_only(bundle: Bundle) -> Found:
    """Weights hold finite tensors and no code, model.pt a raw state_dict."""
    paths = sorted((bundle.folder / "models").glob("*.pt"))
    if not paths:
        raise NotApplicableError("no weights inside")
    for path in paths:
        name = f"models/{path.name}"
        try:
            content = read(path)
        except Exception as error:  # torch and zipfile have a dozen types for a file that is no checkpoint
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            yield Fault(name, "is a whole file of tensors that executes nothing", reason[:200], "save a state_dict")
            continue
        kinds = {type(value).__name__ for value in content.values()} if isinstance(content, dict) else {"no dict"}
        if path.name == "model.pt" and kinds - {"Tensor"}:
            yield Fault(name, "is the raw state_dict of network_def", sorted(kinds), "save network.state_dict()")
        for key, value in _floats(content):
            if not torch.isfinite(value).all():
                yield Fault(f"{name} {key}", "is finite", "NaN or infinity", "use an earlier checkpoint")


def _floats(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor) and content.is_floating_point():
        yield name, content
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in parts:
        yield from _floats(part, f"{name}.{key}".lstrip("."))


@check("weights.hashes", "sound", "model_info.json")
def hashes(bundle: Bundle) -> Found:
    """Files have the hashes that model_info.json and .sha256 files name, and no other file is inside."""
    listed = dict(bundle.model_info.get("sha256") or {})
    named = {f"models/{path.stem}": path.read_text().split()[0] for path in bundle.folder.glob("models/*.sha256")}
    if told := bundle.model_info.get("weights"):
        named["models/model.pt"] = str(told)
    named |= listed
    if not named:
        raise NotApplicableError("no model_info.json and no .sha256 inside")
    for name, expected in sorted(named.items()):
        path = bundle.folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        if found != expected:
            yield Fault(name, f"has sha256 {expected[:12]}...", found[:12], "restore the file, or pack again")
    held = {path.relative_to(bundle.folder).as_posix() for path in bundle.files()} - {"model_info.json"}
    for name in sorted(held - named.keys()) if listed else ():
        yield Fault(name, "is listed in model_info.json", "a file of unknown origin", "remove it or pack again")
    yield f"{len(named)} files"


@check("network.weights", "zoo", "model zoo, verify_bundle.py: ckpt_export", "network")
def fitting(network: Network) -> Found:
    """Its weights fit, key by key, and give finite values in range."""
    if not network.weights.is_file():
        raise NotApplicableError(f"no models/{network.weights.name}")
    state, note = state_dict(network.weights)
    yield note
    try:
        network.trained.load_state_dict(state)
    except RuntimeError as error:
        remedy = "give weights of this network, or the network of these weights"
        value = " ".join(str(error).split())[:600]
        yield Fault(f"models/{network.weights.name}", f"has the weights of {network.id}, key by key", value, remedy)
        return
    made = outputs(network.trained.eval(), network.inputs())
    for (key, tensor), pred in zip(network.tensors("outputs").items(), made, strict=False):
        for found in sound_values(f"{network.id} {key}, trained,", tensor, pred):
            # a one-hot class is part of a latent vector, and random numbers are none
            yield str(found) if network.bundle.latent and found.rule != "is finite" else found
