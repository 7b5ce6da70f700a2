"""The contract of this collection, as far as one bundle's files show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.verify import contract_texts
from tools.verify.bundle import WHOLE, Bundle
from tools.verify.configs import leaves
from tools.verify.verdicts import CONTRACT, Check, Fault, Found, NotApplicableError

CONFIGS = ("demo", "evaluate", "inference", "multi_gpu_train", "train")
TASKS = {"train": "training", "inference": "inference", "evaluate": "evaluating"}
OWN_TO_EACH_TASK = {"cases", "device", "run"}
"""Keys that stand in train and inference and may differ: what is read, what runs by default, and where (an inference is
shared out among processes as it stands, a training needs its overlay)."""
DEPLOYED = {"bundle_root", "cases", "dataset_dir", "device", "network_def", "output_dir", "preprocessing", "seed"}
REQUIRED_METADATA = (
    *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
    *("required_packages_version", "name", "task", "description", "authors", "copyright", "data_source"),
    *("intended_use", "references", "eval_metrics", "network_data_format"),
)
TENSOR_KEYS = ("type", "format", "num_channels", "spatial_shape", "dtype", "value_range")
MEND = "see CONTRIBUTING.md"


def overlays(bundle: Bundle) -> list[Path]:
    """Configs that lie over ``train``."""
    return [path for path in bundle.config_files if path.suffix == ".yaml" and path.stem not in WHOLE]


def files(bundle: Bundle) -> Found:
    """The same files in every bundle."""
    for stem in CONFIGS:
        if not (bundle.configs / f"{stem}.yaml").is_file():
            yield Fault(f"configs/{stem}.yaml", "exists", [path.name for path in bundle.config_files], MEND)
    for name in ("configs/logging.conf", "docs/data_license.txt"):
        if not (bundle.folder / name).is_file():
            yield Fault(name, "exists", "no such file", MEND)


def package(bundle: Bundle) -> Found:
    """One package, unique by name, that the configs refer to."""
    allowed = rf"{re.escape(bundle.name)}(_v\w+)?"
    if len(bundle.packages) != 1 or not re.fullmatch(allowed, bundle.packages[0]):
        yield Fault("packages", f"are one, named {bundle.name}", bundle.packages, MEND)
        return
    for stem in ("train", "inference"):
        targets = [str(value) for name, value in leaves(bundle.whole(stem)) if name.endswith("_target_")]
        if not any(target.startswith(f"{bundle.packages[0]}.") for target in targets):
            yield Fault(f"configs/{stem}", f"uses {bundle.packages[0]} by _target_", "no such _target_", MEND)


def common_parts(bundle: Bundle) -> Found:
    """What stands in train and in inference is identical."""
    train, inference = bundle.whole("train"), bundle.whole("inference")
    shared = train.keys() & inference.keys()
    for key in sorted(DEPLOYED - shared - ({"preprocessing"} if bundle.latent else set())):
        yield Fault(f"configs: {key}", "stands in train and in inference", "not in both", MEND)
    for key in sorted(shared - OWN_TO_EACH_TASK):
        if train[key] != inference[key]:
            value = f"{train[key]} in train and {inference[key]} in inference"
            yield Fault(f"configs: {key}", "is the same in train and inference", value, MEND)


def demo(bundle: Bundle) -> Found:
    """The demo overlay holds plain settings of train alone."""
    train, settings = bundle.whole("train"), bundle.whole("demo")
    for key, value in settings.items():
        component = isinstance(value, dict) and "_target_" in value or isinstance(value, str) and value[:1] in "$@%"
        if key not in train or component:
            yield Fault(f"configs/demo.yaml {key}", "is a plain setting of train", value, MEND)


def differences(bundle: Bundle) -> Found:
    """Overlays hold differences alone."""
    if bundle.merged:
        raise NotApplicableError(f"the release has {bundle.merged} merged into train: others may agree with it")
    parser = bundle.parser(*([path] if (path := bundle.config("train")) else []))
    for path in overlays(bundle):
        for key, value in bundle.own(path).items():
            if key in parser and parser[key] == value:
                yield Fault(f"configs/{path.name} {key}", "differs from train", value, "remove the line")


def variants(bundle: Bundle) -> Found:
    """A variant is named as its overlay."""
    for path in overlays(bundle):
        name = bundle.own(path).get("variant")
        if name not in (None, "", path.stem):
            yield Fault(f"configs/{path.name} variant", f"is {path.stem}", name, "name it as its file")


def default_run(bundle: Bundle) -> Found:
    """The default run is the task of the file."""
    for stem, task in TASKS.items():
        content = bundle.whole(stem)
        if str(content.get("run")).lstrip("%@") != task or task not in content:
            yield Fault(f"configs/{stem} run", f"is %{task}, which stands there", content.get("run"), MEND)


def twins(bundle: Bundle) -> Found:
    """A config in YAML and in JSON says the same."""
    pairs = [(path, path.with_suffix(".json")) for path in bundle.config_files if path.suffix == ".yaml"]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not pairs:
        raise NotApplicableError("no config in both YAML and JSON")
    for path, twin in pairs:
        if bundle.own(path) != bundle.own(twin):
            yield Fault(f"configs/{twin.name}", f"says what {path.name} says", "another content", "pack it anew")


def bundle_root(bundle: Bundle) -> Found:
    """The bundle's folder follows from its package, not from where the command was started."""
    for stem in ("train", "inference"):
        root = bundle.whole(stem).get("bundle_root")
        if not isinstance(root, dict) or not str(root.get("_target_")).endswith(".bundle_root"):
            remedy = "write {_target_: <package>.bundle_root}; '.' is wherever the command was started"
            yield Fault(f"configs/{stem} bundle_root", "is found by the bundle's package", repr(root), remedy)


def described(bundle: Bundle) -> Found:
    """Metadata describe every network of the configs."""
    for key in bundle.whole("train"):
        if key.endswith("_def") and key.removesuffix("_def") not in bundle.formats:
            name = f"{key.removesuffix('_def')}_data_format"
            yield Fault(f"metadata {name}", f"describes {key}", "no such key", "add its inputs and outputs")


def metadata(bundle: Bundle) -> Found:
    """More than the schema asks."""
    for key in REQUIRED_METADATA:
        if not bundle.metadata.get(key):
            yield Fault(f"metadata {key}", "says something", bundle.metadata.get(key), MEND)
    if not re.fullmatch(r"https://.*meta_schema_\d{8}\.json", str(bundle.metadata.get("schema"))):
        yield Fault("metadata schema", "is the schema's address", bundle.metadata.get("schema"), MEND)
    for network, sides in bundle.formats.items():
        yield from _tensors(f"metadata {network}_data_format", sides)


def _tensors(name: str, sides: dict[str, Any]) -> Iterator[Fault]:
    for side, first in (("inputs", "image"), ("outputs", "pred")):
        tensors = sides.get(side) or {}
        if next(iter(tensors), None) != first:
            yield Fault(f"{name} {side}", f"has {first} first", list(tensors), MEND)
        for key, tensor in tensors.items():
            if missing := [part for part in (*TENSOR_KEYS, "channel_def") if part not in tensor]:
                yield Fault(f"{name} {side} {key}", f"has {', '.join(missing)}", sorted(tensor), MEND)


def one_version(bundle: Bundle) -> Found:
    """Configs write the bundle's name and version into what they export."""
    expected = f"{bundle.name} {bundle.metadata.get('version')}"
    named = [
        (f"configs/{path.name} {name}", value)
        for path in bundle.config_files
        for name, value in leaves(bundle.own(path))
        if name.endswith("::bundle")
    ]
    if not named:
        yield Fault("configs", "name bundle and version for what they export", "no key bundle", MEND)
    for name, value in named:
        if value != expected:
            yield Fault(name, f"is {expected}", value, "write the version of metadata")


def metrics(bundle: Bundle) -> Found:
    """Metadata explain the metrics that are reported."""
    reported = {"kid" if bundle.latent else "mae", *bundle.whole("train").get("validate", {}).get("key_metric", {})}
    for key in sorted(reported - set(bundle.metadata.get("eval_metrics") or {})):
        yield Fault("metadata eval_metrics", f"explains {key}", sorted(bundle.metadata.get("eval_metrics") or {}), MEND)


_RULES = (
    ("files", "the files of every bundle", files),
    ("package", "one package, named as the bundle", package),
    ("common_parts", "train and inference agree on what stands in both", common_parts),
    ("demo", "the demo holds plain settings of train", demo),
    ("differences", "overlays hold differences alone", differences),
    ("variants", "variants are named as their overlays", variants),
    ("default_run", "the default run is the task", default_run),
    ("twins", "YAML and JSON of a config agree", twins),
    ("bundle_root", "the bundle's folder follows from its package", bundle_root),
    ("networks", "metadata describe every network", described),
    ("metadata", "metadata say more than the schema asks", metadata),
    ("version", "configs and metadata name one version", one_version),
    ("metrics", "metadata explain the metrics reported", metrics),
)
CHECKS = (
    *(Check(f"contract.{name}", meaning, CONTRACT, "house", find) for name, meaning, find in _RULES),
    *contract_texts.CHECKS,
)
