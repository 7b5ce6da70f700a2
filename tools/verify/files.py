"""Checks of the files that a bundle needs, of its code and of its weights."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor

from tools.verify import schema
from tools.verify.bundle import Bundle
from tools.verify.configs import leaves
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, expect

ZOO = "model zoo, verify_bundle.py: verify_bundle_directory"
SHARED = "common"
"""The package that bundles share in the repository and that a release carries under a name of its own."""
LARGE_FILES = "large_files.*"
EXECUTING = r"weights_only\s*=\s*False|allow_pickle\s*=\s*True|\b(pickle\.(loads?|Unpickler)|joblib\.load)\("
IMPORTING = rf"^\s*(from|import) {SHARED}\b|_target_\W+{SHARED}\."


@check("files.texts", "zoo", ZOO)
def texts(bundle: Bundle) -> Found:
    """LICENSE and the model card docs/README.md are there and not empty."""
    for name in ("LICENSE", "docs/README.md"):
        value = "an empty file" if (bundle.folder / name).is_file() else "no such file"
        remedy = "state licence, use and limits of the model"
        yield expect(bundle.text(name).strip(), name, "exists and is not empty", value, remedy)


@check("files.metadata", "zoo", ZOO)
def metadata(bundle: Bundle) -> Found:
    """configs/metadata.json is a JSON object."""
    try:
        yield f"version {bundle.metadata.get('version')}"
    except NotApplicableError as error:
        value = str(error.__cause__ or error)
        yield Fault("configs/metadata.json", "exists and holds a JSON object", value, "write it as the schema asks")


@check("files.inference", "zoo", ZOO)
def inference(bundle: Bundle) -> Found:
    """There is an inference config."""
    names = [path.name for path in bundle.config_files]
    remedy = "add a config that infers on its own"
    yield expect(bundle.config("inference"), "configs/inference.yaml or .json", "exists", names, remedy)


@check("files.weights", "zoo", ZOO)
def weights(bundle: Bundle) -> Found:
    """Weights are inside, or large_files.yml names where they are and stays inside the bundle."""
    for path in sorted(bundle.folder.glob(LARGE_FILES)):
        content = ConfigParser.load_config_file(path)
        yield from schema.faults(path.name, content, "large_files", "MONAI downloads by path and url")
    entries = _large_files(bundle)
    for entry in entries:
        yield _same_hash(bundle, str(entry.get("path")), entry.get("hash_val"), entry.get("hash_type"))
    if (bundle.folder / "models" / "model.pt").is_file():
        return
    if held := [f"{entry.get('path')}{'' if entry.get('hash_val') else ' (no hash)'}" for entry in entries]:
        raise NotApplicableError(f"not downloaded: {', '.join(held)} (nothing is fetched here)")
    if bundle.house:
        raise NotApplicableError("no models/model.pt: untrained; inference refuses to start without")
    found = sorted(path.name for path in (bundle.folder / "models").glob("*"))
    remedy = "put the weights there or name them in large_files.yml"
    yield Fault("models/model.pt", "exists, or large_files.yml says where it is", found, remedy)


def _large_files(bundle: Bundle) -> list[dict[str, Any]]:
    """What is to be downloaded."""
    contents = [ConfigParser.load_config_file(path) for path in sorted(bundle.folder.glob(LARGE_FILES))]
    return [entry for content in contents for entry in content.get("large_files", []) if isinstance(entry, dict)]


def _same_hash(bundle: Bundle, name: str, expected: str | None, kind: str | None) -> Fault | None:
    """A fault where a large file was downloaded and is another."""
    path = bundle.folder / name
    if not (expected and kind and path.is_file() and kind in hashlib.algorithms_available):
        return None
    found = hashlib.new(kind, path.read_bytes()).hexdigest()
    rule = f"has {kind} {expected[:12]}... as large_files.yml says"
    return expect(found == expected, name, rule, found[:12], "download it again, or pack again")


@check("code.syntax", "sound", "Python")
def syntax(bundle: Bundle) -> Found:
    """Every Python file can be parsed."""
    if not bundle.sources:
        raise NotApplicableError("no Python code inside")
    for path in bundle.sources:
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield Fault(bundle.relative(path), "is sound Python", error, "correct it")


def _lines(bundle: Bundle, pattern: str, rule: str, remedy: str) -> Found:
    """A fault for each line of code and configs in which a pattern is found."""
    for path in [*bundle.sources, *bundle.config_files]:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if re.search(pattern, line):
                yield Fault(f"{bundle.relative(path)}:{number}", rule, line.strip()[:120], remedy)


@check("code.pickles", "sound", "torch: weights_only")
def pickles(bundle: Bundle) -> Found:
    """No pickle is executed."""
    return _lines(bundle, EXECUTING, "executes no pickle", "load tensors alone: torch.load(..., weights_only=True)")


@check("code.vendored", "house", "the contract of this collection")
def vendored(bundle: Bundle) -> Found:
    """A release imports its own copy of the shared package, not the top-level one."""
    if not bundle.packed:
        raise NotApplicableError("not a packed bundle: the shared package is imported from the repository")
    return _lines(bundle, IMPORTING, f"imports no {SHARED}", f"pack it again: {SHARED} is inside its own package")


def read_weights(path: Path) -> Any:
    """What a file of weights holds; nothing in it is executed and each record's checksum is compared."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


@check("weights.tensors", "sound", "torch: weights_only; MONAI Label, Deploy, ckpt_export")
def tensors_only(bundle: Bundle) -> Found:
    """Weights hold finite tensors and no code, model.pt a raw state_dict."""
    paths = sorted((bundle.folder / "models").glob("*.pt"))
    if not paths:
        raise NotApplicableError("no weights inside")
    for path in paths:
        name = f"models/{path.name}"
        try:
            content = read_weights(path)
        except Exception as error:  # torch and zipfile have a dozen types for a file that is no checkpoint
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            yield Fault(name, "is a whole file of tensors that executes nothing", reason[:200], "save a state_dict")
            continue
        kinds = {type(value).__name__ for value in content.values()} if isinstance(content, dict) else {"no dict"}
        raw = path.name != "model.pt" or kinds <= {"Tensor"}
        yield expect(raw, name, "is the raw state_dict of network_def", sorted(kinds), "save network.state_dict()")
        for key, value in leaves(content):
            finite = not isinstance(value, Tensor) or torch.isfinite(value).all()
            yield expect(finite, f"{name} {key}", "is finite", "NaN or infinity", "use an earlier checkpoint")


@check("weights.hashes", "sound", "model_info.json")
def hashes(bundle: Bundle) -> Found:
    """Files have the hashes that model_info.json and the JSON files of weights name, and no other file is inside."""
    listed = dict(bundle.model_info.get("sha256") or {})
    told_of = {path.stem: json.loads(path.read_text()) for path in bundle.folder.glob("models/*.json")}
    weights = {stem: str(told.get("sha256")) for stem, told in told_of.items() if "settings" in told}
    named = {f"models/{stem}.pt": sha256 for stem, sha256 in weights.items()}
    if told := bundle.model_info.get("weights"):
        named["models/model.pt"] = str(told)
    named |= listed
    if not named:
        raise NotApplicableError("no model_info.json and no JSON file of weights inside")
    elsewhere = {entry.get("path") for entry in _large_files(bundle)}
    for name, expected in sorted(named.items()):
        path = bundle.folder / name
        if name in elsewhere and not path.is_file():
            yield f"{name} not downloaded"
            continue
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        rule = f"has sha256 {expected[:12]}..."
        yield expect(found == expected, name, rule, found[:12], "restore the file, or pack again")
    held = {bundle.relative(path) for path in bundle.files()} - {"model_info.json"}
    for name in sorted(held - named.keys()) if listed else ():
        yield Fault(name, "is listed in model_info.json", "a file of unknown origin", "remove it or pack again")
    for stem in sorted(told_of.keys() - weights.keys()):  # a calibration
        sha256, rule = str(told_of[stem].get("sha256")), "is of weights that are there"
        yield expect(sha256 in weights.values(), f"models/{stem}.json", rule, f"{sha256[:12]}...", "make it again")
    yield f"{len(named)} files"
