"""Checks of metadata.json: schemas, versions, tensors."""

from __future__ import annotations

import math
from typing import Any

from monai.bundle.scripts import _get_fake_spatial_shape

from tools.release.verify import schema
from tools.release.verify.bundle import FORMAT_END, ValidatedBundle, all_leaves
from tools.release.verify.verdicts import Fault, Faults, check, expect

REMEDY = "write it as MONAI's metadata schema asks"


@check("metadata.schema")
def rules(bundle: ValidatedBundle) -> Faults:
    """Metadata have what MONAI's schema of 2024-07-25 asks."""
    return schema.faults("metadata", bundle.metadata, "metadata_zoo", REMEDY)


@check("metadata.complete")
def complete(bundle: ValidatedBundle) -> Faults:
    """Texts, versions, traits and references are given, every key is known, tensors make sense."""
    return schema.faults("metadata", bundle.metadata, "metadata", "add it: readers need it")


@check("metadata.values")
def values(bundle: ValidatedBundle) -> Faults:
    """Sizes, ranges and descriptions of channels make sense."""
    for network, sides in bundle.formats.items():
        for side in ("inputs", "outputs"):
            for key, tensor in (sides.get(side) or {}).items():
                yield from _values(f"metadata {network}{FORMAT_END} {side} {key}", tensor)


def _values(name: str, tensor: dict[str, Any]) -> Faults:
    try:
        _get_fake_spatial_shape(tensor["spatial_shape"])
    except (SyntaxError, TypeError, ValueError) as error:
        yield Fault(f"cannot read {name} spatial_shape ({error})", "give sides like 64, '*' or '16*n'")
    limits = tensor.get("value_range") or []
    sound = not limits or len(limits) == 2 and all(map(math.isfinite, limits)) and limits[0] < limits[1]
    yield expect(sound, f"{name} value_range is {limits}", "give [] or [lowest, highest], two finite numbers in order")
    described, count = tensor.get("channel_def"), tensor.get("num_channels")
    if isinstance(described, dict) and isinstance(count, int):
        all_named = sorted(described) == sorted(map(str, range(count)))
        fault = f"{name} channel_def describes channels {sorted(described)}, not 0 to {count - 1}"
        yield expect(all_named, fault, "name every channel by its number")


@check("metadata.contents")
def contents(bundle: ValidatedBundle) -> Faults:
    """Metadata describe every network and metric and have a changelog of their version, which configs have too."""
    train, own = bundle.whole("train"), bundle.metadata.get("version")
    log = bundle.metadata.get("changelog") or {}
    yield expect(own in log, f"metadata changelog has no version {own}", "add what is new in this version")
    for name in [key.removesuffix("_def") for key in train if key.endswith("_def")]:
        fault = f"metadata has no {name}{FORMAT_END}, which describes {name}_def"
        yield expect(name in bundle.formats, fault, "add inputs, outputs")
    metrics = bundle.metadata.get("eval_metrics") or {}
    key_metric = train.get("validate", {}).get("key_metric", {})
    for key in [key_metric.get("name", "mae")] if "_target_" in key_metric else sorted(key_metric):
        yield expect(key in metrics, f"metadata eval_metrics does not explain {key}", "add it")
    expected = f"{bundle.name} {own}"
    for name, value in all_leaves(bundle):
        same = value == expected or not name.endswith("::bundle")
        yield expect(same, f"{name} is {value}, not {expected}", "write the version of metadata")
    for key, wanted in (("name", bundle.name), ("version", own)) if bundle.model_info else ():
        packed = bundle.model_info.get(key)
        yield expect(packed == wanted, f"model_info.json {key} is {packed}, not {wanted}", "pack the bundle again")
