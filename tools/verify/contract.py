"""Checks of this collection's own contract: files, configs, metadata, card."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tools.verify import schema
from tools.verify.bundle import WHOLE, Bundle, read
from tools.verify.configs import all_leaves, expressions, leaves
from tools.verify.verdicts import Check, Fault, Found, NotApplicableError, expect, one_line
from tools.verify.verdicts import check as any_check

FILES = (
    *(f"configs/{stem}.yaml" for stem in ("demo", "evaluate", "inference", "multi_gpu_train", "train")),
    *("configs/logging.conf", "docs/data_license.txt"),
)
OWN_TO_EACH_TASK = {"data", "device", "run", "shipped_weights"}
"""Keys that stand in train and inference and may differ: what is read, what runs by default, with which weights, and
where (an inference is shared out among processes as it stands, a training needs its overlay)."""
COLUMNS = 120
COMMAND = r"python -m monai\.bundle run|torchrun .*-m monai\.bundle run|make demo"
CLEVER = r"lambda| for | if |import"
TEMPLATE = (
    *("Authors", "Tags", "Model Description", "Data", "Performance", "System Configuration", "Limitations"),
    "References",
)
"""Sections that the model zoo's template of a card has (docs/readme_template.md there), but for optional ones."""
TEXTS = (
    *(
        ("docs/README.md", rf"(?m)^#+ {name}\n\n\S", f"has the section {name} of the zoo's template", "write it")
        for name in TEMPLATE
    ),
    ("docs/README.md", "(?m)^#+ What differs from the paper", "has a section What differs from the paper", "write it"),
    ("docs/README.md", "(?i)not for clinical use", "says not for clinical use", "add the sentence"),
    ("LICENSE", "Apache License", "is the Apache License", "copy the collection's"),
    ("docs/data_license.txt", r"(\S+\s+){20}\S", "has more than 20 words", "state what licence the data have"),
)
"""File, what it has to match, the rule that it breaks otherwise, and the remedy."""
REMEDY = "see CONTRIBUTING.md"


def check(name: str) -> Callable[[Callable[[Any], Found]], Check]:
    """Make a function a check of the contract."""
    return any_check(f"contract.{name}", "house", "the contract of this collection")


@check("files")
def files(bundle: Bundle) -> Found:
    """Every bundle has the same files and one package, named as the bundle, that the configs use."""
    for name in FILES:
        yield expect((bundle.folder / name).is_file(), name, "exists", "no such file", REMEDY)
    if len(bundle.packages) != 1 or not re.fullmatch(rf"{re.escape(bundle.name)}(_v\w+)?", bundle.packages[0]):
        yield Fault("packages", f"are one, named {bundle.name}", bundle.packages, REMEDY)
        return
    for stem in ("train", "inference"):
        targets = [str(value) for name, value in leaves(bundle.whole(stem)) if name.endswith("_target_")]
        used = any(target.startswith(f"{bundle.packages[0]}.") for target in targets)
        yield expect(used, f"configs/{stem}", f"uses {bundle.packages[0]} by _target_", "no such _target_", REMEDY)


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
        value = f"{train[key]} in train and {inference[key]} in inference"
        same = train[key] == inference[key]
        yield expect(same, f"configs: {key}", "is the same in train and inference", value, REMEDY)


@check("overlays")
def overlaid(bundle: Bundle) -> Found:
    """Overlays hold differences alone, variants are named as their files, the demo has plain settings of train."""
    train = bundle.whole("train")
    parser = bundle.parser(*([path] if (path := bundle.config("train")) else []))
    for path in [path for path in bundle.config_files if path.suffix == ".yaml" and path.stem not in WHOLE]:
        for key, value in read(path).items():
            name = f"configs/{path.name} {key}"
            # others may agree with what a release has merged into train
            differs = bundle.model_info.get("overlay") or key not in parser or parser[key] != value
            yield expect(differs, name, "differs from train", value, "remove the line")
            named = key != "variant" or value in (None, "", path.stem)
            yield expect(named, name, f"is {path.stem}", value, "name it as its file")
            component = isinstance(value, dict) and "_target_" in value or isinstance(value, str) and value[:1] in "$@%"
            plain = path.stem != "demo" or key in train and not component
            yield expect(plain, name, "is a plain setting of train", value, REMEDY)


@check("twins")
def twins(bundle: Bundle) -> Found:
    """A config in YAML and in JSON has the same content."""
    pairs = [(path, path.with_suffix(".json")) for path in bundle.config_files if path.suffix == ".yaml"]
    if not any(twin.is_file() for _, twin in pairs):
        raise NotApplicableError("no config in both YAML and JSON")
    for path, twin in pairs:
        same = not twin.is_file() or read(path) == read(twin)
        yield expect(same, f"configs/{twin.name}", f"has what {path.name} has", "another content", "pack it again")


@check("metadata")
def metadata(bundle: Bundle) -> Found:
    """Metadata describe every network and metric, and configs have the version of the metadata."""
    yield from schema.faults("metadata", bundle.metadata, "metadata_house", REMEDY)
    train = bundle.whole("train")
    for name in [key.removesuffix("_def") for key in train if key.endswith("_def")]:
        key, rule = f"metadata {name}_data_format", f"describes {name}_def"
        yield expect(name in bundle.formats, key, rule, "no such key", "add inputs, outputs")
    metrics = bundle.metadata.get("eval_metrics") or {}
    for key in sorted({"kid" if bundle.latent else "mae", *train.get("validate", {}).get("key_metric", {})}):
        yield expect(key in metrics, "metadata eval_metrics", f"explains {key}", sorted(metrics), REMEDY)
    expected = f"{bundle.name} {bundle.metadata.get('version')}"
    for name, value in all_leaves(bundle):
        same = value == expected or not name.endswith("::bundle")
        yield expect(same, name, f"is {expected}", value, "write the version of metadata")


@check("layout")
def layout(bundle: Bundle) -> Found:
    """Configs open with what, how and how long, and have narrow lines."""
    for path in bundle.configs.glob("*.yaml"):
        name, lines = f"configs/{path.name}", path.read_text(encoding="utf-8").splitlines()
        yield from _head(name, [*lines[:4], "", "", "", ""])
        widest = max(map(len, lines), default=0)
        narrow = widest <= COLUMNS or bundle.packed  # a package's name is longer
        yield expect(narrow, name, f"has at most {COLUMNS} columns", widest, "break the line")


def _head(name: str, head: list[str]) -> Found:
    if [line[:2] == "# " for line in head[:4]] != [True, True, True, False]:
        yield Fault(name, "opens with three lines of comment", head[0], "state what, how, how long")
        return
    yield expect(re.search(COMMAND, head[1]), name, "gives the command in its second line", head[1], "write it out")
    rule = "gives hardware, time and result in its third line"
    yield expect(len(head[2].split()) > 3, name, rule, head[2], "measure them")


@check("plain")
def plain(bundle: Bundle) -> Found:
    """Behaviour is in Python, not in configs."""
    rule, remedy = "is no lambda, loop, condition or import", "write a class or function in Python"
    for name, value in expressions(bundle).items():
        yield expect(not re.search(CLEVER, value), name, rule, value, remedy)


@check("card")
def card(bundle: Bundle) -> Found:
    """The card has the differences from the paper and says not for clinical use; the licences are there."""
    for place, pattern, rule, remedy in TEXTS:
        text = bundle.text(place)
        yield expect(re.search(pattern, text), place, rule, one_line(text, 80) or "no text", remedy)
