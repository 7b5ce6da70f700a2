"""Weights that travel with a bundle: sound, of its networks, and the ones it says it has."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.verify.bundle import Bundle
from tools.verify.forward import outside
from tools.verify.metadata import LABELS
from tools.verify.networks import Network, outputs
from tools.verify.verdicts import Check, Fault, Found, NetworkCheck, NotApplicableError

NESTED = ("model", "state_dict", "network")
"""Keys under which a checkpoint may hold what should stand alone."""
RETRAIN = "give weights of this network, or the network of these weights"


def read(path: Path) -> Any:
    """What a file of weights holds; nothing in it is executed and each record's checksum is compared."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def tensors_only(bundle: Bundle) -> Found:
    """Files of weights are sound and hold tensors alone, all finite."""
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
        for key, value in _floats(content):
            if not torch.isfinite(value).all():
                yield Fault(f"{name} {key}", "is finite", "NaN or infinity", "use an earlier checkpoint")


def _floats(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor) and content.is_floating_point():
        yield name, content
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in parts:
        yield from _floats(part, f"{name}.{key}".lstrip("."))


def hashes(bundle: Bundle) -> Found:
    """Files are the ones of which ``model_info.json`` and ``<file>.sha256`` give the hash."""
    named = dict(_named(bundle))
    if not named:
        raise NotApplicableError("no model_info.json and no .sha256 inside")
    for name, expected in sorted(named.items()):
        path = bundle.folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        if found != expected:
            yield Fault(name, f"has sha256 {expected[:12]}...", found[:12], "restore the file, or pack the bundle anew")
    info = bundle.folder / "model_info.json"
    if info.is_file() and "sha256" in json.loads(info.read_text()):
        held = {path.relative_to(bundle.folder).as_posix() for path in bundle.files()} - {info.name}
        for name in sorted(held - named.keys()):
            yield Fault(name, "is listed in model_info.json", "a file of unknown origin", "remove it or pack anew")
    yield f"{len(named)} files"


def _named(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for path in bundle.folder.glob("models/*.sha256"):
        yield f"models/{path.name.removesuffix('.sha256')}", path.read_text().split()[0]
    info = bundle.folder / "model_info.json"
    if info.is_file():
        told: Mapping[str, Any] = json.loads(info.read_text(encoding="utf-8"))
        if told.get("weights"):
            yield "models/model.pt", str(told["weights"])
        yield from (told.get("sha256") or {}).items()


def fitting(network: Network) -> Found:
    """Strictly: every key and shape, and values out of it that are finite and in range."""
    if not network.weights.is_file():
        raise NotApplicableError(f"no models/{network.weights.name}")
    state, note = _state(read(network.weights))
    module = network.trained
    own = module.state_dict()
    name = f"models/{network.weights.name}"
    yield from _keys(name, state, own)
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    for key in sorted(wrong)[:1]:
        value = f"{tuple(state[key].shape)} ({len(wrong)} such weights)"
        yield Fault(f"{name} {key}", f"has shape {tuple(own[key].shape)}", value, RETRAIN)
    if own.keys() == state.keys() and not wrong:
        module.load_state_dict(state)
        yield note
        yield from _sound(network, outputs(module.eval(), network.inputs()))


def _state(content: Any) -> tuple[dict[str, Tensor], str]:
    nested = [key for key in NESTED if isinstance(content, dict) and isinstance(content.get(key), dict)]
    return (content[nested[0]], f"under the key {nested[0]}") if nested else (content, "raw state_dict")


def _keys(name: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Found:
    for rule, names in (
        ("has every weight of the network", sorted(own.keys() - state.keys())),
        ("has no weight that the network lacks", sorted(state.keys() - own.keys())),
    ):
        if names:
            yield Fault(name, rule, f"{len(names)} not so, first {names[0]}", RETRAIN)


def _sound(network: Network, made: list[Tensor]) -> Found:
    for (key, tensor), pred in zip(network.stated.items(), made, strict=False):
        if not torch.isfinite(pred).all():
            yield Fault(f"{network.id} {key}, trained", "is finite", "NaN or infinity", "use an earlier checkpoint")
        elif tensor["value_range"] and tensor["format"] not in LABELS:
            for found in outside(f"{network.id} {key}, trained,", tensor, pred):
                # a one-hot class is part of a latent vector, and random numbers are none
                yield str(found) if network.bundle.latent else found


def raw(bundle: Bundle) -> Found:
    """Label, Deploy and ckpt_export take one form unchanged."""
    path = bundle.folder / "models" / "model.pt"
    if not path.is_file():
        raise NotApplicableError("no models/model.pt")
    content = read(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        kinds = sorted({type(value).__name__ for value in content.values()}) if isinstance(content, dict) else "no dict"
        yield Fault("models/model.pt", "is the raw state_dict of network_def", kinds, "save network.state_dict()")


def script(bundle: Bundle) -> Found:
    """A TorchScript file that travels along computes what the weights compute."""
    path = bundle.folder / "models" / "model.ts"
    if not path.is_file():
        raise NotApplicableError("no models/model.ts")
    network = Network(bundle, "network")
    module, inputs = torch.jit.load(str(path), map_location="cpu").eval(), network.inputs()
    made = outputs(module, inputs)
    if not network.weights.is_file():
        raise NotApplicableError("it loads and runs; no model.pt to compare it with")
    network.trained.load_state_dict(_state(read(network.weights))[0])
    for one, other in zip(made, outputs(network.trained, inputs), strict=True):
        difference = (one - other).abs().max().item()
        if not difference <= 1e-4 * max(1.0, other.abs().max().item()):
            yield Fault("models/model.ts", "computes what model.pt computes", f"{difference:.1e} apart", "export anew")
        yield f"largest difference {difference:.1e}"


ZOO = "model zoo, verify_bundle.py"
CHECKS = (
    Check("weights.tensors", "weights hold finite tensors and no code", "torch: weights_only", "sound", tensors_only),
    Check("weights.hashes", "files have the hashes that are told", "model_info.json", "sound", hashes),
    Check("weights.raw", "model.pt is a raw state_dict", "MONAI Label, Deploy, ckpt_export", "label", raw),
    Check("weights.script", "model.ts is of model.pt", f"{ZOO}: verify_torchscript", "zoo", script, executes=True),
)
NETWORK_CHECKS = (
    NetworkCheck("network.weights", "its weights fit, key by key", f"{ZOO}: ckpt_export", "zoo", fitting),
)
