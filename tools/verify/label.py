"""Checks for MONAI Label and MONAI Deploy: each rule was seen to break them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from tools.verify import schema
from tools.verify.bundle import Bundle
from tools.verify.configs import leaves
from tools.verify.verdicts import Found, NotApplicableError, check, expect

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
        rule, remedy = f"has no {word} in its name", "rename it: Label reads that word"
        yield expect(word not in bundle.name, bundle.name, rule, bundle.name, remedy)
    for name in bundle.packages:
        remedy = f"name it as the bundle; of shared names Label unloads {UNLOADED} alone"
        yield expect(name not in GENERIC, f"package {name}", "has a name that no other bundle has", name, remedy)
    if UNLOADED in bundle.packages:
        yield f"package {UNLOADED}: Label unloads it between bundles, other programs do not"
    for name in sorted(path.name for path in (bundle.folder / "models").glob("*.pt")):
        rule, remedy = "has a name no shorter than model.pt", "Label would load it: rename it"
        yield expect(len(name) >= len("model.pt"), f"models/{name}", rule, name, remedy)


@check("label.tensors", "label", LABEL)
def tensors(bundle: Bundle) -> Found:
    """Image and pred come first in metadata, and the output is not half precision."""
    data = bundle.formats.get("network", {})
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        listed, name = list(data.get(side) or {}), f"metadata network_data_format {side}"
        yield expect(listed[:1] == [key], name, f"has {key} first", listed, "Label reads the first one")
    yield from schema.faults("metadata network_data_format", data, "tensors_label", "give float32")


@check("label.inference", "label", "MONAI Label, MONAI Deploy App SDK")
def inference(bundle: Bundle) -> Found:
    """The inference config has what Label takes by name, inverts the geometry and uses no Spacingd on image."""
    if bundle.latent:
        raise NotApplicableError("synthesises from a latent vector: of no use in Label")
    content = bundle.whole("inference")
    yield from schema.faults("configs/inference", content, "inference_label", "Label and Deploy take it by this name")
    before, after = ([*_targets(content.get(key))] for key in ("preprocessing", "postprocessing"))
    changed = [target for target in before if re.search("Orientation|Spacing", target)]
    inverted = not changed or any("Invert" in target for target in after)
    rule, remedy = "has Invertd, since the geometry was changed", "let it begin with Invertd of the preprocessing"
    yield expect(inverted, "postprocessing", rule, ", ".join(changed), remedy)
    made_for = tuple(map(int, re.findall(r"\d+", str(bundle.metadata.get("monai_version")))[:2]))
    if made_for >= SPACING_BREAKS:
        remedy = "use a subclass that ignores items which are paths, as common.transforms.WorkingSpacingd"
        yield from schema.faults("configs/inference", content, "spacing_label", remedy)


def _targets(config: Any) -> Iterator[str]:
    return (str(value) for name, value in leaves(config) if name.endswith("_target_"))


@check("label.handlers", "label", LABEL)
def handlers(bundle: Bundle) -> Found:
    """Handlers of training are components: Label's training looks into each for its _target_."""
    yield from schema.faults("configs/train", bundle.whole("train"), "train_label", "write the component there")
