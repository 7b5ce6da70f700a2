"""Checks of this collection's own contract: files, configs, metadata, card."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.running_config import short_names
from tools.verify import schema
from tools.verify.bundle import WHOLE, Bundle, read
from tools.verify.configs import all_leaves, leaves
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError
from tools.verify.verdicts import check as any_check

FILES = (
    *(f"configs/{stem}.yaml" for stem in ("demo", "evaluate", "inference", "multi_gpu_train", "train")),
    *("configs/logging.conf", "docs/data_license.txt"),
)
OWN_TO_EACH_TASK = {"data", "device", "run"}
"""Keys that stand in train and inference and may differ: what is read, what runs by default, and where (an inference is
shared out among processes as it stands, a training needs its overlay)."""
MOST_LINES = {"train": 105, "inference": 70, "study": 60}
OVERLAY_LINES, COLUMNS = 40, 120
COMMAND = r"python -m monai\.bundle run|torchrun .*-m monai\.bundle run|make demo"
CLEVER = r"lambda| for | if |import"
DATA_LICENCE_WORDS = 20
REMEDY = "see CONTRIBUTING.md"


def check(name: str) -> Callable[[Callable[[Any], Found]], Check]:
    """Make a function a check of the contract."""
    return any_check(f"contract.{name}", "house", "the contract of this collection")


def overlays(bundle: Bundle) -> list[Path]:
    """Configs that lie over ``train``."""
    return [path for path in bundle.config_files if path.suffix == ".yaml" and path.stem not in WHOLE]


@check("files")
def files(bundle: Bundle) -> Found:
    """Every bundle has the same files and one package, named as the bundle, that the configs use."""
    for name in FILES:
        if not (bundle.folder / name).is_file():
            yield Fault(name, "exists", "no such file", REMEDY)
    if len(bundle.packages) != 1 or not re.fullmatch(rf"{re.escape(bundle.name)}(_v\w+)?", bundle.packages[0]):
        yield Fault("packages", f"are one, named {bundle.name}", bundle.packages, REMEDY)
        return
    for stem in ("train", "inference"):
        targets = [str(value) for name, value in leaves(bundle.whole(stem)) if name.endswith("_target_")]
        if not any(target.startswith(f"{bundle.packages[0]}.") for target in targets):
            yield Fault(f"configs/{stem}", f"uses {bundle.packages[0]} by _target_", "no such _target_", REMEDY)


@check("tasks")
def tasks(bundle: Bundle) -> Found:
    """Configs have the keys of their task, and run it by default."""
    for stem in ("train", "inference", "evaluate"):
        yield from schema.faults(f"configs/{stem}", bundle.whole(stem), f"{stem}_house", REMEDY)


@check("common_parts")
def common_parts(bundle: Bundle) -> Found:
    """Train and inference agree on what is in both."""
    train, inference = bundle.whole("train"), bundle.whole("inference")
    for key in sorted((train.keys() & inference.keys()) - OWN_TO_EACH_TASK):
        if train[key] != inference[key]:
            value = f"{train[key]} in train and {inference[key]} in inference"
            yield Fault(f"configs: {key}", "is the same in train and inference", value, REMEDY)


@check("overlays")
def overlaid(bundle: Bundle) -> Found:
    """Overlays hold differences alone, variants are named as their files, the demo has plain settings of train."""
    train = bundle.whole("train")
    parser = bundle.parser(*([path] if (path := bundle.config("train")) else []))
    for path in overlays(bundle):
        for key, value in read(path).items():
            # others may agree with what a release has merged into train
            if key in parser and parser[key] == value and not bundle.model_info.get("overlay"):
                yield Fault(f"configs/{path.name} {key}", "differs from train", value, "remove the line")
            if key == "variant" and value not in (None, "", path.stem):
                yield Fault(f"configs/{path.name} variant", f"is {path.stem}", value, "name it as its file")
            component = isinstance(value, dict) and "_target_" in value or isinstance(value, str) and value[:1] in "$@%"
            if path.stem == "demo" and (key not in train and key not in short_names(train) or component):
                yield Fault(f"configs/demo.yaml {key}", "is a plain setting of train", value, REMEDY)


@check("twins")
def twins(bundle: Bundle) -> Found:
    """A config in YAML and in JSON has the same content."""
    pairs = [(path, path.with_suffix(".json")) for path in bundle.config_files if path.suffix == ".yaml"]
    if not any(twin.is_file() for _, twin in pairs):
        raise NotApplicableError("no config in both YAML and JSON")
    for path, twin in pairs:
        if twin.is_file() and read(path) != read(twin):
            yield Fault(f"configs/{twin.name}", f"has what {path.name} has", "another content", "pack it again")


@check("metadata")
def metadata(bundle: Bundle) -> Found:
    """Metadata describe every network and metric, and configs have the version of the metadata."""
    yield from schema.faults("metadata", bundle.metadata, "metadata_house", REMEDY)
    train = bundle.whole("train")
    for name in [key.removesuffix("_def") for key in train if key.endswith("_def")]:
        if name not in bundle.formats:
            yield Fault(f"metadata {name}_data_format", f"describes {name}_def", "no such key", "add inputs, outputs")
    metrics = bundle.metadata.get("eval_metrics") or {}
    for key in sorted({"kid" if bundle.latent else "mae", *train.get("validate", {}).get("key_metric", {})}):
        if key not in metrics:
            yield Fault("metadata eval_metrics", f"explains {key}", sorted(metrics), REMEDY)
    expected = f"{bundle.name} {bundle.metadata.get('version')}"
    for path, name, value in all_leaves(bundle):
        if name.endswith("::bundle") and value != expected:
            yield Fault(f"configs/{path.name} {name}", f"is {expected}", value, "write the version of metadata")


@check("layout")
def layout(bundle: Bundle) -> Found:
    """Configs are short and open with what, how and how long."""
    for path in bundle.configs.glob("*.yaml"):
        name, lines = f"configs/{path.name}", path.read_text(encoding="utf-8").splitlines()
        head = [*lines[:4], "", "", "", ""][:4]
        if [line[:2] == "# " for line in head] != [True, True, True, False]:
            yield Fault(name, "opens with three lines of comment", head[0], "state what, how, how long")
        elif not re.search(COMMAND, head[1]):
            yield Fault(name, "gives the command in its second line", head[1], "write it out")
        elif len(head[2].split()) <= 3:
            yield Fault(name, "gives hardware, time and result in its third line", head[2], "measure them")
        if len(lines) > (allowed := MOST_LINES.get(path.stem, OVERLAY_LINES)):
            yield Fault(name, f"has at most {allowed} lines", len(lines), "move behaviour to Python")
        if (widest := max(map(len, lines), default=0)) > COLUMNS and not bundle.packed:  # a package's name is longer
            yield Fault(name, f"has at most {COLUMNS} columns", widest, "break the line")


@check("plain")
def plain(bundle: Bundle) -> Found:
    """Behaviour is in Python, not in configs."""
    for path, name, value in all_leaves(bundle):
        if isinstance(value, str) and value[:1] == "$" and re.search(CLEVER, value):
            rule = "is no lambda, loop, condition or import"
            yield Fault(f"configs/{path.name} {name}", rule, value, "write a class or function in Python")


@check("card")
def card(bundle: Bundle) -> Found:
    """The card has the differences from the paper and says not for clinical use; the licences are there."""
    text = bundle.text("docs/README.md")
    if not re.search(r"^#+ What differs from the paper", text, re.MULTILINE):
        yield Fault("docs/README.md", "has a section What differs from the paper", "no such heading", "write it")
    if "not for clinical use" not in text.lower():
        yield Fault("docs/README.md", "says not for clinical use", text[:80], "add the sentence")
    if "Apache License" not in (licence := bundle.text("LICENSE")):
        yield Fault("LICENSE", "is the Apache License", licence[:60], "copy the collection's")
    if (words := len(bundle.text("docs/data_license.txt").split())) <= DATA_LICENCE_WORDS:
        rule = f"has more than {DATA_LICENCE_WORDS} words"
        yield Fault("docs/data_license.txt", rule, words, "state what licence the data have")
