"""Checks of metadata.json: schema, versions, tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.verify import schema
from tools.verify.bundle import FORMAT_END, Bundle
from tools.verify.shapes import ShapeTextError, sizes
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError, check

ZOO = "model zoo, verify_bundle.py"
SPECIFICATION = "MONAI bundle specification, metadata.json"
LABELS = ("labels", "classes", "segmentation")
"""Formats whose ``channel_def`` may name classes of one channel."""
REMEDY = "write it as MONAI's metadata schema asks"


@check("metadata.schema", "zoo", f"{ZOO}: verify_metadata")
def rules(bundle: Bundle) -> Found:
    """Metadata have what MONAI's schema of 2024-07-25 asks."""
    yield from schema.faults("metadata", bundle.metadata, "metadata_zoo", REMEDY)


@check("metadata.complete", "sound", SPECIFICATION)
def complete(bundle: Bundle) -> Found:
    """Texts, versions and references are given, every key is known, tensors make sense."""
    yield from schema.faults("metadata", bundle.metadata, "metadata_sound", "add it: readers need it")


def schema_file(path: Path | None) -> Check:
    """A check against a schema file that the user names; without one it is skipped."""

    @check("metadata.schema_file", "zoo", f"{ZOO}: verify_metadata")
    def find(bundle: Bundle) -> Found:
        """Metadata obey the schema file."""
        if path is None:
            raise NotApplicableError("no --schema given; metadata.schema has our description of MONAI's")
        yield from schema.faults("metadata", bundle.metadata, path, REMEDY)

    return find


@check("metadata.version", "zoo", f"{ZOO}: verify_version_changes")
def version(bundle: Bundle) -> Found:
    """The changelog has the version."""
    own, log = bundle.metadata.get("version"), bundle.metadata.get("changelog")
    if not isinstance(log, dict) or own not in log:
        found = sorted(log) if isinstance(log, dict) else log
        yield Fault("metadata changelog", f"has version {own}", found, "add what is new in this version")


def tensors(bundle: Bundle) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every tensor of every network with a name for messages."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            for key, value in (sides.get(side) or {}).items():
                if isinstance(value, dict):
                    yield f"metadata {network}{FORMAT_END} {side} {key}", value


@check("metadata.values", "sound", SPECIFICATION)
def values(bundle: Bundle) -> Found:
    """Sizes, ranges and descriptions of channels make sense."""
    for name, tensor in tensors(bundle):
        try:
            sizes(tensor.get("spatial_shape", []))
        except ShapeTextError as error:
            yield Fault(f"{name} spatial_shape", "has sides like 64, '*' or '16*n'", error, "correct the expression")
        limits = tensor.get("value_range") or []
        if limits and not (len(limits) == 2 and all(map(math.isfinite, limits)) and limits[0] < limits[1]):
            yield Fault(f"{name} value_range", "is [] or [lowest, highest]", limits, "give two finite numbers in order")
        described, count = tensor.get("channel_def"), tensor.get("num_channels")
        if not isinstance(described, dict) or not isinstance(count, int) or tensor.get("format") in LABELS:
            continue
        if sorted(described) != sorted(map(str, range(count))):
            rule, remedy = f"describes channels 0 to {count - 1}", "name every channel by its number"
            yield Fault(f"{name} channel_def", rule, sorted(described), remedy)


@check("metadata.model_info", "sound", SPECIFICATION)
def model_info(bundle: Bundle) -> Found:
    """A release has the name and version of its folder and metadata."""
    if not bundle.model_info:
        raise NotApplicableError("there is no model_info.json")
    own = bundle.metadata.get("version")
    for key, expected in (("name", bundle.name), ("version", own)):
        if (told := bundle.model_info.get(key, expected)) != expected:
            yield Fault(f"model_info.json {key}", f"is {expected}", told, "pack the bundle again")
    if bundle.archive is not None and bundle.packed and bundle.archive.name != f"{bundle.name}_v{own}.zip":
        yield Fault(bundle.archive.name, f"is named {bundle.name}_v{own}.zip", bundle.archive.name, "rename it")
