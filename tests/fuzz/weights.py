"""Mutations of weights and checkpoints, and of the JSON files beside them and of runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.fuzz import json_trees
from tests.fuzz.mutation import Mutation, Rule, Target, damaged

FLOATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
OTHER_TYPES = {"int64": torch.int64, "complex64": torch.complex64, "bool": torch.bool, "uint8": torch.uint8}
WITHOUT_MEANING = ("versions", "metric", "version", "epoch", "seed", "keep", "replaces", "unit")
"""Entries of ``model.json`` that only tell where weights are from."""


class Payload:
    """What a hostile file would run: it makes a file where the oracle looks for it."""

    def __init__(self, box: Path) -> None:
        self.box = box

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self.box / "executed"),)


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Weights that a command is given; the JSON file beside them mostly notes their new hash, or is gone."""
    path = target.inputs / "run" / "models" / "model.pt"
    what, rule = change_file(path, target.box, rng)
    beside = rng.choice(("noted", "noted", "noted", "as it was", "removed"))
    note(path, beside)
    if beside == "as it was":
        rule = Rule.SAME if rule is Rule.SAME else Rule.REFUSED
    return Mutation("weights", f"model.pt: {what}; model.json {beside}", rule)


def note(path: Path, how: str) -> None:
    """Let the JSON file beside weights fit them, or remove it."""
    sidecar = path.with_suffix(".json")
    if how == "removed":
        sidecar.unlink()
    elif how == "noted":
        about = json.loads(sidecar.read_text())
        about["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
        sidecar.write_text(json.dumps(about))


def change_file(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    """Bytes, the archive, its records or its content."""
    how = rng.choices((_bytes, _tensor, _entries, _archive, _pickled), (4, 5, 3, 2, 3))[0]
    return how(path, box, rng)


def _bytes(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    before = path.read_bytes()
    content, what = damaged(before, rng)
    path.write_bytes(content)
    return what, Rule.SAME  # of what lies between records nothing is read


def _tensor(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    """One tensor, or all, of another type, shape, layout or value that no training gives."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    flat = tensors(content)
    name = rng.choice([name for name, (holder, key) in flat.items() if holder[key].numel() > 1])
    holder, key = flat[name]
    value = holder[key]
    ways: Mapping[str, Callable[[], Any]] = {
        "NaN": lambda: torch.full_like(value, float("nan")),
        "one Inf": lambda: _with_one(value, float("inf")),
        "reshaped": lambda: value.reshape(-1),
        "one row more": lambda: torch.cat([value, value[:1]]),
        "a number": lambda: 3.5,
        "a text": lambda: "text",
        "None": lambda: None,
        "a list": lambda: value.flatten()[:3].tolist(),
        "sparse": lambda: value.to_sparse(),
        "meta": lambda: value.to("meta"),
        "empty": lambda: torch.zeros(0),
        **{kind: (lambda dtype=dtype: value.to(dtype)) for kind, dtype in {**FLOATS, **OTHER_TYPES}.items()},
    }
    how = rng.choice(list(ways))
    if not value.is_floating_point() and how in ("NaN", "one Inf"):
        how = "reshaped"
    holder[key] = ways[how]()
    torch.save(content, path)
    same = (
        how in FLOATS
        or (how == "reshaped" and value.dim() == 1)
        or (how in OTHER_TYPES and not value.is_floating_point())
    )
    return f"{name} is {how}", Rule.CLOSE if same else Rule.REFUSED


def _with_one(value: torch.Tensor, number: float) -> torch.Tensor:
    changed = value.clone()
    changed.view(-1)[0] = number
    return changed


def tensors(content: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Every tensor of a nested content by its name, with what holds it and its key there."""
    found: dict[str, tuple[Any, Any]] = {}
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in parts:
        here = f"{name}.{key}" if name else str(key)
        if isinstance(value, torch.Tensor):
            found[here] = content, key
        else:
            found |= tensors(value, here)
    return found


def _entries(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    name = rng.choice(list(content))
    how = rng.choice(
        ("removed", "added", "renamed", "a list", "empty", "a prefix for all", "nested", "a number as name")
    )
    if how == "removed":
        del content[name]
    elif how == "added":
        content["more.weight"] = torch.ones(3)
    elif how == "renamed":
        content[f"{name}x"] = content.pop(name)
    elif how == "a number as name":
        content[7] = content.pop(name)
    else:
        content = {
            "a list": list(content.values()),
            "empty": {},
            "a prefix for all": {f"module.{key}": value for key, value in content.items()},
            "nested": {"state_dict": content},
        }[how]
    torch.save(content, path)
    return f"entries: {how} ({name})", Rule.REFUSED


def _archive(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    """Another zip, or no zip."""
    how = rng.choice(("a record removed", "a text added", "compressed", "legacy format", "a folder", "gone"))
    if how == "legacy format":
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
        return how, Rule.SAME
    if how in ("a folder", "gone"):
        path.unlink()
        if how == "a folder":
            path.mkdir()
        return how, Rule.REFUSED
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    if how == "a record removed":
        del records[rng.choice(list(records))]
    elif how == "a text added":
        records["../../outside.txt"] = b"text"
    kind = zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, data in records.items():
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    path.write_bytes(made.getvalue())
    return f"archive: {how}", Rule.SAME


def _pickled(path: Path, box: Path, rng: random.Random) -> tuple[str, Rule]:
    """Objects that torch would have to build, and code that reading them would run."""
    hostile = {"weight": Payload(box)}
    how = rng.choice(("in a checkpoint", "a plain pickle", "beside tensors", "a whole network", "in the old format"))
    if how == "in a checkpoint":
        torch.save(hostile, path)
    elif how == "a plain pickle":
        path.write_bytes(pickle.dumps(hostile))
    elif how == "beside tensors":
        torch.save({**torch.load(path, weights_only=True), **hostile}, path)
    elif how == "a whole network":
        torch.save(torch.nn.Linear(2, 2), path)
    else:
        torch.save(hostile, path, _use_new_zipfile_serialization=False)
    return f"objects that are no tensors: {how}", Rule.REFUSED


def mutate_sidecar(rng: random.Random, target: Target) -> Mutation:
    """``model.json``: its text, and keys and types at any depth.

    Its hash of the weights is spared half of the time; with another one it ends there.
    """
    path = target.inputs / "run" / "models" / "model.json"
    spare = rng.random() < 0.9

    def among(place: json_trees.Place) -> bool:
        return not (spare and place[0] in ("sha256", *WITHOUT_MEANING)) and not isinstance(place[-1], int)

    content, what, _ = json_trees.mutated(path.read_bytes(), rng, among)
    path.write_bytes(content)
    return Mutation("sidecar", f"model.json, {what}", Rule.SAME)


def mutate_run(rng: random.Random, target: Target) -> Mutation:
    """A file of a run that is resumed or evaluated: its checkpoint, weights, JSON files, log."""
    run = target.box / "out"
    names = ["models/last_checkpoint.pt"] * 4 + ["models/model.pt", "models/model.json", "datalist.json", "run.json"]
    path = run / rng.choice([*names, "log.csv", "datalist.json", "models/model.json"])
    rule = Rule.SAME
    if path.suffix == ".pt":
        what, rule = change_file(path, target.box, rng)
        if path.name == "model.pt" and rng.random() < 0.7:
            note(path, "noted")
        if rule is Rule.REFUSED:  # a resume may do without some files, an evaluation without others
            rule = Rule.SAME
    elif path.suffix == ".json":
        content, what, _ = json_trees.mutated(path.read_bytes(), rng, lambda place: not isinstance(place[-1], int))
        path.write_bytes(content)
    else:
        content, what = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
    return Mutation("run", f"{path.relative_to(run)}: {what}", rule)


def mutate_output(rng: random.Random, target: Target) -> Mutation:
    """A file of an earlier inference that is resumed: the manifest or a volume's JSON file."""
    out = target.box / "out"
    path = rng.choice(sorted(out.glob("*.json")))
    content, what, _ = json_trees.mutated(path.read_bytes(), rng)
    path.write_bytes(content)
    return Mutation("output", f"{path.name}: {what}", Rule.SAME)
