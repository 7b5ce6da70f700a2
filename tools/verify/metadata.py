"""What metadata have to say, beyond which keys they have."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from tools.verify import schema
from tools.verify.bundle import Bundle
from tools.verify.shapes import ShapeError, sizes
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError

ZOO = "model zoo, verify_bundle.py"
SPECIFICATION = "MONAI bundle specification, metadata.json"
LABELS = ("labels", "classes", "segmentation")
"""Formats whose ``channel_def`` may name classes of one channel."""
MODALITIES = {"hounsfield": ("CT", "n/a")}


def rules(bundle: Bundle) -> Found:
    """The schema's rules."""
    yield from schema.faults(bundle.metadata)


def schema_file(path: Path | None) -> Check:
    """A check against a schema file that the user names; without one it is skipped."""

    def find(bundle: Bundle) -> Found:
        if path is None:
            raise NotApplicableError("no --schema given; metadata.schema holds our description of its rules")
        if find_spec("jsonschema") is None:
            raise NotApplicableError("jsonschema is not installed")
        import jsonschema

        validator = jsonschema.validators.validator_for(content := json.loads(path.read_text()))(content)
        for error in validator.iter_errors(bundle.metadata):
            yield Fault(f"metadata {error.json_path}", f"obeys {path.name}", error.message[:200], schema.REMEDY)

    return Check("metadata.schema_file", "metadata obey the schema file", f"{ZOO}: verify_metadata", "zoo", find)


def version(bundle: Bundle) -> Found:
    """A version, and what is new in it."""
    own, log = bundle.metadata.get("version"), bundle.metadata.get("changelog")
    if not isinstance(log, dict) or own not in log:
        found = sorted(log) if isinstance(log, dict) else log
        yield Fault("metadata changelog", f"tells of version {own}", found, "add what is new in this version")
    if not re.fullmatch(r"\d+\.\d+\.\d+([-.+]?\w+)*", str(own)):
        yield Fault("metadata version", "is like 1.2.3", own, "number it by semantic versioning")


def packages(bundle: Bundle) -> Found:
    """Versions that are versions."""
    named = {f"metadata {key}_version": bundle.metadata.get(f"{key}_version") for key in ("monai", "pytorch", "numpy")}
    wanted = bundle.metadata.get("required_packages_version")
    named |= {f"metadata required_packages_version {key}": value for key, value in (wanted or {}).items()}
    for name, value in named.items():
        if not re.fullmatch(r"\d+(\.\w+)+([-+]\S+)?", str(value)):
            yield Fault(name, "is a version", value, "give the version the bundle was made with, such as 1.6.1")


def texts(bundle: Bundle) -> Found:
    """What a reader must be told."""
    for key in ("name", "task", "description", "authors", "copyright", "intended_use", "data_source"):
        value = bundle.metadata.get(key)
        if not isinstance(value, str) or not value.strip():
            yield Fault(f"metadata {key}", "says something", value, "the schema lets it be absent; a reader does not")


def references(bundle: Bundle) -> Found:
    """A list of papers."""
    if not bundle.metadata.get("references"):
        yield Fault("metadata references", "names a paper", bundle.metadata.get("references"), "cite the method")


def keys(bundle: Bundle) -> Found:
    """No key that nobody reads."""
    for key in bundle.metadata:
        if key not in schema.KNOWN and not schema.FORMAT_KEY.fullmatch(key):
            yield _unknown(f"metadata {key}", key, schema.KNOWN)
    if "optional_packages_version" in bundle.metadata:
        remedy = "the schema in force reads required_packages_version"
        yield Fault("metadata optional_packages_version", "is a known key", "a key of an older schema", remedy)
    for name, tensor in tensors(bundle):
        for key in tensor:
            if key not in schema.TENSOR_TYPES:
                yield _unknown(f"{name} {key}", key, set(schema.TENSOR_TYPES))


def _unknown(name: str, key: str, known: set[str]) -> Fault:
    nearest = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else "remove it"
    return Fault(name, "is a known key", "an unknown one", remedy)


def tensors(bundle: Bundle) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every tensor of every network with a name for messages."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            for key, value in (sides.get(side) or {}).items():
                if isinstance(value, dict):
                    yield f"metadata {network}_data_format {side} {key}", value


def tensor_sides(bundle: Bundle) -> Found:
    """Something goes in and something comes out."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            if not sides.get(side):
                name = f"metadata {network}_data_format {side}"
                yield Fault(name, "names a tensor", sides.get(side), "empty ones pass the schema, but stop MONAI Label")


def channels(bundle: Bundle) -> Found:
    """A description for each channel, by its number."""
    for name, tensor in tensors(bundle):
        described, count = tensor.get("channel_def"), tensor.get("num_channels")
        if described is None:
            continue
        if not isinstance(described, dict):
            yield Fault(f"{name} channel_def", "is an object", type(described).__name__, "a list stops MONAI Label")
        elif tensor.get("format") not in LABELS and isinstance(count, int):
            numbers = sorted(str(number) for number in range(count))
            if sorted(described) != numbers:
                rule = f"describes channels 0 to {count - 1}"
                yield Fault(f"{name} channel_def", rule, sorted(described), "name every channel by its number")


def values(bundle: Bundle) -> Found:
    """Types, sizes and ranges that a tensor can have."""
    for name, tensor in tensors(bundle):
        if not isinstance(getattr(torch, str(tensor.get("dtype")), None), torch.dtype):
            yield Fault(f"{name} dtype", "is a type of torch", tensor.get("dtype"), "write for example float32")
        if isinstance(tensor.get("num_channels"), int) and tensor["num_channels"] < 1:
            yield Fault(f"{name} num_channels", "is at least 1", tensor["num_channels"], "count the channels")
        try:
            sizes(tensor.get("spatial_shape", []))
        except ShapeError as error:
            yield Fault(f"{name} spatial_shape", "has sides like 64, '*' or '16*n'", error, "mend the expression")
        yield from _range(name, tensor)


def _range(name: str, tensor: dict[str, Any]) -> Iterator[Fault]:
    limits = tensor.get("value_range", [])
    if not isinstance(limits, list) or not limits:
        return
    numbers = [limit for limit in limits if isinstance(limit, int | float) and math.isfinite(limit)]
    if len(limits) != 2 or len(numbers) != 2 or numbers[0] >= numbers[1]:
        yield Fault(f"{name} value_range", "is [] or [lowest, highest]", limits, "give two finite numbers in order")
    elif tensor.get("type") == "probabilities" and not 0 <= numbers[0] < numbers[1] <= 1:
        yield Fault(f"{name} value_range", "lies in [0, 1]", limits, "probabilities do; logits have []")


def units(bundle: Bundle) -> Found:
    """Hounsfield units belong to CT."""
    for name, tensor in tensors(bundle):
        allowed = MODALITIES.get(str(tensor.get("format")))
        if allowed and tensor.get("modality", "n/a") not in allowed:
            rule = f"is {allowed[0]} where the format is {tensor['format']}"
            yield Fault(f"{name} modality", rule, tensor["modality"], "mend format or modality")


def model_info(bundle: Bundle) -> Found:
    """A release names itself as its folder and its metadata do."""
    path = bundle.folder / "model_info.json"
    if not path.is_file():
        raise NotApplicableError("there is no model_info.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    for key, expected in (("name", bundle.name), ("version", bundle.metadata.get("version"))):
        if key in told and told[key] != expected:
            yield Fault(f"model_info.json {key}", f"is {expected}", told[key], "pack the bundle anew")
    if bundle.archive is not None and bundle.packed:
        expected = f"{bundle.name}_v{bundle.metadata.get('version')}.zip"
        if bundle.archive.name != expected:
            yield Fault(bundle.archive.name, f"is named {expected}", bundle.archive.name, "rename it")


CHECKS = (
    Check("metadata.schema", "metadata have what the schema in force asks", f"{ZOO}: verify_metadata", "zoo", rules),
    Check("metadata.version", "the changelog tells of the version", f"{ZOO}: verify_version_changes", "zoo", version),
    Check("metadata.packages", "versions of packages are versions", SPECIFICATION, "zoo", packages),
    Check("metadata.texts", "name, task, use and source are told", SPECIFICATION, "sound", texts),
    Check("metadata.references", "a paper is cited", SPECIFICATION, "sound", references),
    Check("metadata.keys", "every key is known", SPECIFICATION, "sound", keys),
    Check("metadata.tensors", "each network has inputs and outputs", SPECIFICATION, "sound", tensor_sides),
    Check("metadata.channels", "channel_def describes each channel", SPECIFICATION, "sound", channels),
    Check("metadata.values", "types, sizes and ranges make sense", SPECIFICATION, "sound", values),
    Check("metadata.units", "Hounsfield units belong to CT", SPECIFICATION, "sound", units),
    Check("metadata.model_info", "a release names itself right", SPECIFICATION, "sound", model_info),
)
