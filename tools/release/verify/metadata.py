"""Checks of metadata.json: schemas, versions, tensors."""

from __future__ import annotations

import math
from typing import Any

from monai.bundle.scripts import _get_fake_spatial_shape

from tools.release.verify import schema
from tools.release.verify.bundle import FORMAT_END, ValidatedBundle, all_leaves
from tools.release.verify.verdicts import Fault, Found, check, expect

REMEDY = "write it as MONAI's metadata schema asks"


@check("metadata.schema")
def rules(bundle: ValidatedBundle) -> Found:
    """Metadata have what MONAI's schema of 2024-07-25 asks."""
    return schema.faults("metadata", bundle.metadata, "metadata_zoo", REMEDY)


@check("metadata.complete")
def complete(bundle: ValidatedBundle) -> Found:
    """Texts, versions, traits and references are given, every key is known, tensors make sense."""
    return schema.faults("metadata", bundle.metadata, "metadata", "add it: readers need it")


@check("metadata.values")
def values(bundle: ValidatedBundle) -> Found:
    """Sizes, ranges and descriptions of channels make sense."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            for key, tensor in (sides.get(side) or {}).items():
                yield from _values(f"metadata {network}{FORMAT_END} {side} {key}", tensor)


def _values(name: str, tensor: dict[str, Any]) -> Found:
    try:
        _get_fake_spatial_shape(tensor["spatial_shape"])
    except (SyntaxError, TypeError, ValueError) as error:
        yield Fault(f"{name} spatial_shape", "has sides like 64, '*' or '16*n'", error, "correct the expression")
    limits = tensor.get("value_range") or []
    sound = not limits or len(limits) == 2 and all(map(math.isfinite, limits)) and limits[0] < limits[1]
    yield expect(sound, f"{name} value_range", "is [] or [lowest, highest]", limits, "give two finite numbers in order")
    described, count = tensor.get("channel_def"), tensor.get("num_channels")
    if isinstance(described, dict) and isinstance(count, int):
        all_named = sorted(described) == sorted(map(str, range(count)))
        rule, remedy = f"describes channels 0 to {count - 1}", "name every channel by its number"
        yield expect(all_named, f"{name} channel_def", rule, sorted(described), remedy)


@check("metadata.contents")
def contents(bundle: ValidatedBundle) -> Found:
    """Metadata describe every network and metric and have a changelog of their version, which configs have too."""
    train, own = bundle.whole("train"), bundle.metadata.get("version")
    log, remedy = bundle.metadata.get("changelog") or {}, "add what is new in this version"
    yield expect(own in log, "metadata changelog", f"has version {own}", sorted(log), remedy)
    for name in [key.removesuffix("_def") for key in train if key.endswith("_def")]:
        key, rule = f"metadata {name}{FORMAT_END}", f"describes {name}_def"
        yield expect(name in bundle.formats, key, rule, "no such key", "add inputs, outputs")
    metrics = bundle.metadata.get("eval_metrics") or {}
    for key in sorted({"kid" if bundle.latent else "mae", *train.get("validate", {}).get("key_metric", {})}):
        yield expect(key in metrics, "metadata eval_metrics", f"explains {key}", sorted(metrics), "add it")
    expected = f"{bundle.name} {own}"
    for name, value in all_leaves(bundle):
        same = value == expected or not name.endswith("::bundle")
        yield expect(same, name, f"is {expected}", value, "write the version of metadata")
    for key, wanted in (("name", bundle.name), ("version", own)) if bundle.model_info else ():
        told = bundle.model_info.get(key)
        yield expect(told == wanted, f"model_info.json {key}", f"is {wanted}", told, "pack the bundle again")
