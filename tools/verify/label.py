"""What MONAI Label and MONAI Deploy trip over: each rule was seen to break them."""

from __future__ import annotations

import re
import sys
from typing import Any

from tools.verify.bundle import Bundle
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError

LABEL = "MONAI Label 0.8.5, bundle app"
DEPLOY = "MONAI Label, MONAI Deploy App SDK"
FOLDER_WORDS = ("deepedit", "deepgrow", "detection", "classification")
KEYS = ("network_def", "preprocessing", "inferer", "postprocessing")
GENERIC = {"src", "utils", "lib", "common", "custom", "modules", "model", "models", "networks", "transforms", "app"}
UNLOADED = "scripts"
"""The one package name that MONAI Label unloads between bundles."""
SPACING_BREAKS = (1, 6)
"""MONAI release from which its own Spacingd fails on the path that Label puts beside the image."""


def folder_name(bundle: Bundle) -> Found:
    """Words by which Label takes a bundle for another kind."""
    for word in FOLDER_WORDS:
        if word in bundle.name:
            yield Fault(bundle.name, f"has no {word} in its name", bundle.name, "rename it")


def inference_keys(bundle: Bundle) -> Found:
    """What Label takes out of the inference config."""
    _needs_source(bundle)
    content = bundle.whole("inference")
    for key in KEYS:
        if key not in content:
            yield Fault("configs/inference", f"has {key}", sorted(content), "Label and Deploy take it by this name")


def _needs_source(bundle: Bundle) -> None:
    if bundle.latent:
        raise NotApplicableError("synthesises from a latent vector: of no use in Label")


def weights_name(bundle: Bundle) -> Found:
    """Label takes the shortest-named ``*.pt``."""
    others = [path.name for path in (bundle.folder / "models").glob("*.pt") if len(path.name) < len("model.pt")]
    for name in sorted(others):
        yield Fault(f"models/{name}", "has a name no shorter than model.pt", name, "Label would load it: rename it")


def first_keys(bundle: Bundle) -> Found:
    """The first input and output are what Label reads."""
    data = bundle.formats.get("network", {})
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        names = list(data.get(side) or {})
        if names[:1] != [key]:
            yield Fault(f"metadata network_data_format {side}", f"has {key} first", names, "Label reads the first one")


def objects(bundle: Bundle) -> Found:
    """What stops the whole server, for every bundle."""
    data = bundle.formats.get("network", {})
    for side in ("inputs", "outputs"):
        for key, tensor in (data.get(side) or {}).items():
            described = tensor.get("channel_def", {}) if isinstance(tensor, dict) else tensor
            if not isinstance(described, dict):
                name = f"metadata network_data_format {side} {key} channel_def"
                yield Fault(name, "is an object", type(described).__name__, "anything else stops the server")
        if not data.get(side):
            yield Fault(f"metadata network_data_format {side}", "is not empty", data.get(side), "it stops the server")


def output_type(bundle: Bundle) -> Found:
    """Label cannot write half precision."""
    for key, tensor in (bundle.formats.get("network", {}).get("outputs") or {}).items():
        if isinstance(tensor, dict) and tensor.get("dtype") in ("float16", "bfloat16"):
            yield Fault(f"metadata output {key} dtype", "is not half precision", tensor["dtype"], "give float32")


def geometry(bundle: Bundle) -> Found:
    """Without Invertd the answer is mirrored or resized under a correct affine."""
    _needs_source(bundle)
    content = bundle.whole("inference")
    changed = [name for name in _targets(content.get("preprocessing")) if re.search(r"Orientation|Spacing", name)]
    if changed and not any("Invert" in name for name in _targets(content.get("postprocessing"))):
        remedy = "let postprocessing begin with Invertd of the preprocessing"
        yield Fault("postprocessing", "has Invertd, since the geometry was changed", ", ".join(changed), remedy)


def spacing(bundle: Bundle) -> Found:
    """MONAI's own Spacingd fails in Label for every NIfTI."""
    version = re.findall(r"\d+", str(bundle.metadata.get("monai_version")))[:2]
    if tuple(int(part) for part in version) < SPACING_BREAKS:
        raise NotApplicableError("made for a MONAI before 1.6, where Spacingd works in Label")
    for part in _components(bundle.whole("inference").get("preprocessing")):
        if str(part["_target_"]).split(".")[-1] == "Spacingd" and "image" in str(part.get("keys")):
            remedy = "use a subclass that ignores items which are paths, as common.transforms.WorkingSpacingd"
            yield Fault("preprocessing", "does not use Spacingd on image", part["_target_"], remedy)


def handlers(bundle: Bundle) -> Found:
    """Label's training and MONAI's check_properties look into each handler for its ``_target_``."""
    listed = bundle.whole("train").get("train", {}).get("handlers", [])
    for index, handler in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(handler, dict):
            name = f"configs/train train::handlers::{index}"
            yield Fault(name, "is a component (a mapping with _target_)", repr(handler), "write the component there")


def _components(config: Any) -> list[dict[str, Any]]:
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    own = [config] if isinstance(config, dict) and "_target_" in config else []
    return own + [found for part in parts for found in _components(part)]


def _targets(config: Any) -> list[str]:
    return [str(part["_target_"]).split(".")[-1] for part in _components(config)]


def packages(bundle: Bundle) -> Found:
    """Two bundles whose packages share a name run the first one's code."""
    for name in bundle.packages:
        if name in GENERIC or name in sys.stdlib_module_names:
            remedy = f"name it as the bundle; of shared names Label unloads {UNLOADED} alone"
            yield Fault(f"package {name}", "has a name that no other bundle has", name, remedy)
        elif name == UNLOADED:
            yield f"package {UNLOADED}: Label unloads it between bundles, other programs do not"


CHECKS = (
    Check("label.folder", "the folder's name has no word that Label reads", LABEL, "label", folder_name),
    Check("label.keys", "inference has what Label takes by name", DEPLOY, "label", inference_keys),
    Check("label.weights", "no shorter-named *.pt beside model.pt", LABEL, "label", weights_name),
    Check("label.first", "image and pred come first in metadata", LABEL, "label", first_keys),
    Check("label.objects", "nothing in metadata stops the server", LABEL, "label", objects),
    Check("label.dtype", "the output is not half precision", LABEL, "label", output_type),
    Check("label.geometry", "the geometry is inverted", LABEL, "label", geometry),
    Check("label.spacing", "no Spacingd on image", LABEL, "label", spacing),
    Check("label.handlers", "handlers of training are components", LABEL, "label", handlers),
    Check("label.packages", "packages are named uniquely", LABEL, "label", packages),
)
