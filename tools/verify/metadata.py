"""Checks of metadata.json: schema, versions, tensors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tools.verify import schema
from tools.verify.bundle import FORMAT_END, Bundle
from tools.verify.shapes import ShapeTextError, sizes
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError, check, expect

ZOO = "model zoo, verify_bundle.py"
SPECIFICATION = "MONAI bundle specification, metadata.json"
LABELS = ("labels", "classes", "segmentation")
"""Formats whose ``channel_def`` may name classes of one channel."""
REMEDY = "write it as MONAI's metadata schema asks"


@check("metadata.schema", "zoo", f"{ZOO}: verify_metadata")
def rules(bundle: Bundle) -> Found:
    """Metadata have what MONAI's schema of 2024-07-25 asks."""
    return schema.faults("metadata", bundle.metadata, "metadata_zoo", REMEDY)


@check("metadata.complete", "sound", SPECIFICATION)
def complete(bundle: Bundle) -> Found:
    """Texts, versions and references are given, every key is known, tensors make sense."""
    return schema.faults("metadata", bundle.metadata, "metadata_sound", "add it: readers need it")


def schema_file(path: Path | None) -> Check:
    """A check against a schema file that the user names; without one it is skipped."""

    @check("metadata.schema_file", "zoo", f"{ZOO}: verify_metadata")
    def find(bundle: Bundle) -> Found:
        """Metadata obey the schema file."""
        if path is None:
            raise NotApplicableError("no --schema given; metadata.schema has our description of MONAI's")
        return schema.faults("metadata", bundle.metadata, path, REMEDY)

    return find


@check("metadata.version", "zoo", f"{ZOO}: verify_version_changes")
def version(bundle: Bundle) -> Found:
    """The changelog has the version."""
    own, log = bundle.metadata.get("version"), bundle.metadata.get("changelog")
    known = sorted(log) if isinstance(log, dict) else [log]
    yield expect(own in known, "metadata changelog", f"has version {own}", known, "add what is new in this version")


@check("metadata.values", "sound", SPECIFICATION)
def values(bundle: Bundle) -> Found:
    """Sizes, ranges and descriptions of channels make sense."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            for key, tensor in (sides.get(side) or {}).items():
                if isinstance(tensor, dict):
                    yield from _values(f"metadata {network}{FORMAT_END} {side} {key}", tensor)


def _values(name: str, tensor: dict[str, Any]) -> Found:
    try:
        sizes(tensor.get("spatial_shape", []))
    except ShapeTextError as error:
        yield Fault(f"{name} spatial_shape", "has sides like 64, '*' or '16*n'", error, "correct the expression")
    limits = tensor.get("value_range") or []
    sound = not limits or len(limits) == 2 and all(map(math.isfinite, limits)) and limits[0] < limits[1]
    rule, remedy = "is [] or [lowest, highest]", "give two finite numbers in order"
    yield expect(sound, f"{name} value_range", rule, limits, remedy)
    described, count = tensor.get("channel_def"), tensor.get("num_channels")
    if isinstance(described, dict) and isinstance(count, int) and tensor.get("format") not in LABELS:
        all_named = sorted(described) == sorted(map(str, range(count)))
        rule, remedy = f"describes channels 0 to {count - 1}", "name every channel by its number"
        yield expect(all_named, f"{name} channel_def", rule, sorted(described), remedy)


@check("metadata.model_info", "sound", SPECIFICATION)
def model_info(bundle: Bundle) -> Found:
    """A release has the name and version of its folder and metadata."""
    if not bundle.model_info:
        raise NotApplicableError("there is no model_info.json")
    own = bundle.metadata.get("version")
    for key, expected in (("name", bundle.name), ("version", own)):
        told = bundle.model_info.get(key, expected)
        yield expect(told == expected, f"model_info.json {key}", f"is {expected}", told, "pack the bundle again")
    if bundle.archive is not None and bundle.packed:
        file, expected = bundle.archive.name, f"{bundle.name}_v{own}.zip"
        yield expect(file == expected, file, f"is named {expected}", file, "rename it")
