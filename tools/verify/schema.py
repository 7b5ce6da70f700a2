"""The rules of MONAI's metadata schema in force (20240725), in our words: which keys, of which types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.verify.verdicts import Fault

REQUIRED = (
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
    *("task", "description", "authors", "copyright", "network_data_format"),
)
TEXTS = (
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors"),
    *("copyright", "data_source", "data_type", "image_classes", "label_classes", "pred_classes", "intended_use"),
)
OBJECTS = ("changelog", "required_packages_version", "eval_metrics", "supported_apps")
KNOWN = {*TEXTS, *OBJECTS, "name", "references", "optional_packages_version", "network_data_format"}
FORMAT_KEY = re.compile(r"[_a-zA-Z0-9]+_data_format")
TENSOR_REQUIRED = ("type", "format", "num_channels", "spatial_shape", "dtype", "value_range")
TENSOR_TYPES: dict[str, type | tuple[type, ...]] = {
    "type": str,
    "format": str,
    "modality": str,
    "num_channels": int,
    "spatial_shape": list,
    "dtype": str,
    "value_range": list,
    "is_patch_data": bool,
    "channel_def": dict,
}
NAMES: dict[type, str] = {str: "a text", dict: "an object", list: "a list", int: "an integer", bool: "true or false"}
REMEDY = "write it as MONAI's metadata schema asks"


def faults(metadata: Mapping[str, Any]) -> Iterator[Fault]:
    """Every breach of the schema's rules."""
    for key in REQUIRED:
        if key not in metadata:
            yield Fault(f"metadata {key}", "is there", "no such key", REMEDY)
    for keys, kind in ((TEXTS, str), (OBJECTS, dict), (("references",), list)):
        for key in keys:
            if key in metadata:
                yield from _typed(f"metadata {key}", metadata[key], kind)
    if not all(isinstance(text, str) for text in metadata.get("references") or ()):
        yield Fault("metadata references", "is a list of texts", metadata["references"], REMEDY)
    for key, value in metadata.items():
        if FORMAT_KEY.fullmatch(key):
            yield from _format(key, value)


def _typed(name: str, value: Any, kind: type | tuple[type, ...]) -> Iterator[Fault]:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield Fault(name, f"is {NAMES[kinds[0]]}", f"{value!r} ({type(value).__name__})", REMEDY)


def _format(key: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield from _typed(f"metadata {key}", value, dict)
        return
    for side in ("inputs", "outputs", "post_processed_outputs"):
        if side not in value:
            if side != "post_processed_outputs":
                yield Fault(f"metadata {key}", f"has {side}", sorted(value), REMEDY)
            continue
        yield from _typed(f"metadata {key} {side}", value[side], dict)
        for name, argument in value[side].items() if isinstance(value[side], dict) else ():
            yield from _argument(f"metadata {key} {side} {name}", argument)


def _argument(name: str, value: Any) -> Iterator[Fault]:
    """A number, a text, true or false, or a tensor."""
    if isinstance(value, str | int | float):
        return
    if not isinstance(value, dict):
        yield from _typed(name, value, dict)
        return
    for key in TENSOR_REQUIRED:
        if key not in value:
            yield Fault(name, f"has {key}", sorted(value), REMEDY)
    for key, kind in TENSOR_TYPES.items():
        if key in value and key != "modality":
            yield from _typed(f"{name} {key}", value[key], kind)
    for key, kinds in (("spatial_shape", (str, int)), ("value_range", (int, float))):
        for part in value[key] if isinstance(value.get(key), list) else ():
            if not isinstance(part, kinds) or isinstance(part, bool):
                rule = "holds integers or texts" if str in kinds else "holds numbers"
                yield Fault(f"{name} {key}", rule, part, REMEDY)
