"""Checks for MONAI Label 0.8.5 and MONAI Deploy: each rule was seen to break them."""

from __future__ import annotations

import re
import sys

from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.configs import targets
from tools.release.verify.verdicts import Found, NotApplicableError, check, expect

FOLDER_WORDS = ("deepedit", "deepgrow", "detection", "classification")
GENERIC = {"src", "utils", "lib", "common", "custom", "modules", "model", "models", "networks", "transforms", "app"}
GENERIC |= {"tools", "scripts", *sys.stdlib_module_names}
TAKEN = ("network_def", "preprocessing", "inferer", "postprocessing")
"""What both take from an inference config by name."""


@check("label.names")
def names(bundle: ValidatedBundle) -> Found:
    """Folder, packages and weights have names that Label takes for no other bundle's."""
    for word in FOLDER_WORDS:
        rule, remedy = f"has no {word} in its name", "rename it: Label reads that word"
        yield expect(word not in bundle.name, bundle.name, rule, bundle.name, remedy)
    for name in bundle.packages:
        rule = "has a name that no other bundle has"
        yield expect(name not in GENERIC, f"package {name}", rule, name, "name it as the bundle")
    for name in sorted(path.name for path in (bundle.folder / "models").glob("*.pt")):
        rule, remedy = "has a name no shorter than model.pt", "Label would load it: rename it"
        yield expect(len(name) >= len("model.pt"), f"models/{name}", rule, name, remedy)


@check("label.tensors")
def tensors(bundle: ValidatedBundle) -> Found:
    """Image and pred come first in metadata, and the output is not half precision."""
    data = bundle.formats.get("network", {})
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        listed, name = list(data.get(side) or {}), f"metadata network_data_format {side}"
        yield expect(listed[:1] == [key], name, f"has {key} first", listed, "Label reads the first one")
    for key, tensor in data.get("outputs", {}).items():
        half, name = tensor.get("dtype") in ("float16", "bfloat16", "half"), f"metadata outputs {key} dtype"
        yield expect(not half, name, "is not half precision", tensor.get("dtype"), "give float32")


@check("label.inference")
def inference(bundle: ValidatedBundle) -> Found:
    """The inference config has what Label takes by name, inverts the geometry and uses no Spacingd on image."""
    if bundle.latent:
        raise NotApplicableError("synthesises from a latent vector: of no use in Label")
    content = bundle.whole("inference")
    for key in TAKEN:
        remedy = "Label and Deploy take it by this name"
        yield expect(key in content, f"configs/inference {key}", "is there", "no such key", remedy)
    before, after = ([*targets(content.get(key))] for key in ("preprocessing", "postprocessing"))
    changed = [target for target in before if re.search("Orientation|Spacing", target)]
    inverted = not changed or any("Invert" in target for target in after)
    rule, remedy = "has Invertd, since the geometry was changed", "let it begin with Invertd of the preprocessing"
    yield expect(inverted, "postprocessing", rule, ", ".join(changed), remedy)
    remedy = "Label puts a path there: use a subclass that ignores paths, as common.transforms.WorkingSpacingd"
    plain = [target for target in before if re.search(r"(^|\.)Spacingd$", target)]
    yield expect(not plain, "preprocessing", "does not use Spacingd on image", ", ".join(plain), remedy)


@check("label.handlers")
def handlers(bundle: ValidatedBundle) -> Found:
    """Handlers of training are components: Label's training looks into each for its _target_."""
    for number, handler in enumerate(bundle.whole("train")["train"]["handlers"]):
        name, rule = f"configs/train train handlers {number}", "is a component (a mapping with _target_)"
        yield expect(isinstance(handler, dict), name, rule, handler, "write the component there")
