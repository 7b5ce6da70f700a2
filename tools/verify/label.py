"""Checks for MONAI Label and MONAI Deploy: each rule was seen to break them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from tools.verify import schema
from tools.verify.bundle import Bundle
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

LABEL = "MONAI Label 0.8.5, bundle app"
FOLDER_WORDS = ("deepedit", "deepgrow", "detection", "classification")
GENERIC = {"src", "utils", "lib", "common", "custom", "modules", "model", "models", "networks", "transforms", "app"}
GENERIC |= {"tools", *sys.stdlib_module_names}
UNLOADED = "scripts"
"""The one package name that MONAI Label unloads between bundles."""
SPACING_BREAKS = (1, 6)
"""MONAI release from which its own Spacingd fails on the path that Label puts beside the image."""


@check("label.names", "label", LABEL)
def names(bundle: Bundle) -> Found:
    """Folder, packages and weights have names that Label takes for no other bundle's."""
    for word in FOLDER_WORDS:
        if word in bundle.name:
            yield Fault(bundle.name, f"has no {word} in its name", bundle.name, "rename it: Label reads that word")
    for name in bundle.packages:
        if name in GENERIC:
            remedy = f"name it as the bundle; of shared names Label unloads {UNLOADED} alone"
            yield Fault(f"package {name}", "has a name that no other bundle has", name, remedy)
        elif name == UNLOADED:
            yield f"package {UNLOADED}: Label unloads it between bundles, other programs do not"
    for name in sorted(path.name for path in (bundle.folder / "models").glob("*.pt")):
        if len(name) < len("model.pt"):
            yield Fault(f"models/{name}", "has a name no shorter than model.pt", name, "Label would load it: rename it")


@check("label.tensors", "label", LABEL)
def tensors(bundle: Bundle) -> Found:
    """Image and pred come first in metadata, and the output is not half precision."""
    data = bundle.formats.get("network", {})
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        listed = list(data.get(side) or {})
        if listed[:1] != [key]:
            yield Fault(f"metadata network_data_format {side}", f"has {key} first", listed, "Label reads the first one")
    for key, tensor in (data.get("outputs") or {}).items():
        if isinstance(tensor, dict) and tensor.get("dtype") in ("float16", "bfloat16", "half"):
            yield Fault(f"metadata output {key} dtype", "is not half precision", tensor["dtype"], "give float32")


@check("label.inference", "label", "MONAI Label, MONAI Deploy App SDK")
def inference(bundle: Bundle) -> Found:
    """The inference config has what Label takes by name, inverts the geometry and uses no Spacingd on image."""
    if bundle.latent:
        raise NotApplicableError("synthesises from a latent vector: of no use in Label")
    content = bundle.whole("inference")
    yield from schema.faults("configs/inference", content, "inference_label", "Label and Deploy take it by this name")
    before, after = ([*_components(content.get(key))] for key in ("preprocessing", "postprocessing"))
    changed = [part["_target_"] for part in before if re.search(r"Orientation|Spacing", part["_target_"])]
    if changed and not any("Invert" in part["_target_"] for part in after):
        remedy = "let postprocessing begin with Invertd of the preprocessing"
        yield Fault("postprocessing", "has Invertd, since the geometry was changed", ", ".join(changed), remedy)
    made_for = tuple(map(int, re.findall(r"\d+", str(bundle.metadata.get("monai_version")))[:2]))
    for part in before if made_for >= SPACING_BREAKS else []:
        if part["_target_"].split(".")[-1] == "Spacingd" and "image" in str(part.get("keys")):
            remedy = "use a subclass that ignores items which are paths, as common.transforms.WorkingSpacingd"
            yield Fault("preprocessing", "does not use Spacingd on image", part["_target_"], remedy)


def _components(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict) and isinstance(config.get("_target_"), str):
        yield config
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for part in parts:
        yield from _components(part)


@check("label.handlers", "label", LABEL)
def handlers(bundle: Bundle) -> Found:
    """Handlers of training are components: Label's training looks into each for its _target_."""
    yield from schema.faults("configs/train", bundle.whole("train"), "train_label", "write the component there")
