"""Checks for MONAI Label 0.8.5 and MONAI Deploy: each rule was seen to break them."""

from __future__ import annotations

import re
import sys

from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.configs import targets
from tools.release.verify.verdicts import Faults, NotApplicableError, check, expect

FOLDER_WORDS = ("deepedit", "deepgrow", "detection", "classification")
GENERIC = {"src", "utils", "lib", "common", "custom", "modules", "model", "models", "networks", "transforms", "app"}
GENERIC |= {"tools", "scripts", *sys.stdlib_module_names}
TAKEN = ("network_def", "preprocessing", "inferer", "postprocessing")
"""What both take from an inference config by name."""


@check("label.names")
def names(bundle: ValidatedBundle) -> Faults:
    """Folder, packages and weights have names that Label takes for no other bundle's."""
    for word in FOLDER_WORDS:
        fault = f"{bundle.name} has {word} in its name, which Label reads"
        yield expect(word not in bundle.name, fault, "rename it")
    for name in bundle.packages:
        fault = f"package {name} has a name that another bundle may have"
        yield expect(name not in GENERIC, fault, "name it as the bundle")
    for name in sorted(path.name for path in (bundle.folder / "models").glob("*.pt")):
        fault = f"models/{name} has a shorter name than model.pt"
        yield expect(len(name) >= len("model.pt"), fault, "rename it, since Label would load it")


@check("label.tensors")
def tensors(bundle: ValidatedBundle) -> Faults:
    """Image and pred come first in metadata, and the output is not half precision."""
    data = bundle.formats.get("network", {})
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        listed = list(data.get(side) or {})
        fault = f"metadata network_data_format {side} is {listed}, without {key} first"
        yield expect(listed[:1] == [key], fault, "put it first, which Label reads")
    for key, tensor in data.get("outputs", {}).items():
        dtype = tensor.get("dtype")
        half = dtype in ("float16", "bfloat16", "half")
        yield expect(not half, f"metadata outputs {key} dtype is {dtype}, half precision", "give float32")


@check("label.inference")
def inference(bundle: ValidatedBundle) -> Faults:
    """The inference config has what Label takes by name, inverts the geometry and uses no Spacingd on image."""
    if bundle.latent:
        raise NotApplicableError("synthesises from a latent vector: of no use in Label")
    content = bundle.whole("inference")
    for key in TAKEN:
        yield expect(key in content, f"configs/inference has no {key}", "add it for Label and Deploy")
    before, after = ([*targets(content.get(key))] for key in ("preprocessing", "postprocessing"))
    changed = [target for target in before if re.search("Orientation|Spacing", target)]
    inverted = not changed or any("Invert" in target for target in after)
    fault = f"postprocessing has no Invertd, though preprocessing changes the geometry ({', '.join(changed)})"
    yield expect(inverted, fault, "let it begin with Invertd of the preprocessing")
    remedy = "use a subclass that ignores the path which Label puts there, as common.transforms.WorkingSpacingd"
    plain = [target for target in before if re.search(r"(^|\.)Spacingd$", target)]
    yield expect(not plain, f"preprocessing uses {', '.join(plain)} on image", remedy)


@check("label.handlers")
def handlers(bundle: ValidatedBundle) -> Faults:
    """Handlers of training are components: Label's training looks into each for its _target_."""
    for number, handler in enumerate(bundle.whole("train")["train"]["handlers"]):
        fault = f"configs/train train handlers {number} is {handler}, no component (a mapping with _target_)"
        yield expect(isinstance(handler, dict), fault, "write the component there")
