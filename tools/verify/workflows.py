"""Whether a bundle's code imports, its components exist, and MONAI's workflows find what they need."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from pydoc import locate
from typing import Any

from monai.bundle import ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.utils import BundleProperty, BundlePropertyConfig, ensure_tuple

from tools.verify.bundle import Bundle
from tools.verify.configs import all_leaves
from tools.verify.networks import settings_here
from tools.verify.sources import SHARED, module_names
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, deepest

ZOO = "model zoo, verify_bundle.py: verify_bundle_properties"
TINY = {
    "phantoms::cases": 4,
    "phantoms::spacing": 5,
    "max_epochs": 1,
    "samples_per_epoch": 8,
    "val_interval": 1,
    "batch_size": 2,
}
"""Settings that keep the data small which bundles of this collection generate."""
ABSENT = ("FileNotFoundError", "NotADirectoryError")


@check("code.imports", "sound", "Python", "code")
def imports(bundle: Bundle) -> Found:
    """Every module can be imported, offline."""
    names = module_names(bundle)
    if not names:
        raise NotApplicableError("no package inside")
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever foreign code does
            yield Fault(f"module {name}", "can be imported", deepest(error), "fix it or install what it needs")
    if bundle.packed and SHARED in sys.modules:
        value = getattr(sys.modules[SHARED], "__file__", SHARED)
        yield Fault(f"package {SHARED}", "is not imported by a release", value, "pack the bundle again")
    yield f"{len(names)} modules"


@check("configs.targets", "sound", "monai.bundle", "code")
def targets(bundle: Bundle) -> Found:
    """Every _target_ exists."""
    locator = ComponentLocator()
    known: dict[str, bool] = {}
    for path, name, value in all_leaves(bundle):
        if name.split("::")[-1] == "_target_" and isinstance(value, str) and value[:1] not in "$@%":
            if value not in known:
                module = ensure_tuple(locator.get_component_module_name(value) if "." not in value else None)[0]
                known[value] = locate(f"{module}.{value}" if module else value) is not None
            if not known[value]:
                yield Fault(f"configs/{path.name} {name}", "names a component that exists", value, "correct the name")
    yield f"{len(known)} components"


@check("workflow.infer", "zoo", ZOO, "code")
def infer_properties(bundle: Bundle) -> Found:
    """Inference has MONAI's properties."""
    yield from _properties(bundle, "infer", "inference")


@check("workflow.train", "zoo", ZOO, "code")
def train_properties(bundle: Bundle) -> Found:
    """Training has MONAI's properties."""
    yield from _properties(bundle, "train", "train")


@check("workflow.evaluate", "zoo", ZOO, "code")
def evaluate_properties(bundle: Bundle) -> Found:
    """Evaluation, over the training config, has MONAI's properties."""
    yield from _properties(bundle, "train", "train", "evaluate")


def _properties(bundle: Bundle, kind: str, *stems: str) -> Found:
    files = [path for stem in stems if (path := bundle.config(stem)) is not None]
    if len(files) < len(stems):
        raise NotApplicableError(f"no configs/{stems[-1]}")
    workflow = _workflow(bundle, kind, files)
    properties: Any = workflow.properties
    ids = {name: one[BundlePropertyConfig.ID] for name, one in properties.items()}
    wrong = [
        name for name, key in ids.items() if properties[name][BundleProperty.REQUIRED] and key not in workflow.parser
    ]
    if not wrong:
        try:
            workflow.initialize()
            wrong = workflow.check_properties() or []
        except Exception as error:
            told = deepest(error)
            if bundle.house or not told.startswith(ABSENT):
                raise
            yield f"by their ids alone, since data or weights are absent: {told}"
    for name in wrong:
        remedy = "see monai.bundle.properties for the ids that MONAI looks for"
        rule = f"is there and referred to as the workflow's property {name}"
        yield Fault(f"configs/{stems[-1]} {ids[name]}", rule, "no such id or reference", remedy)


def _workflow(bundle: Bundle, kind: str, files: list[Path]) -> ConfigWorkflow:
    """On the CPU; a bundle of this collection at the size of its demo on a few small phantoms."""
    demo = [path] if bundle.house and (path := bundle.config("demo")) else []
    listed = [files[0], *demo, *files[1:]]
    content = bundle.parser(*listed)
    tiny: dict[str, Any] = {key: value for key, value in TINY.items() if bundle.house and key.split("::")[0] in content}
    return ConfigWorkflow(
        [str(path) for path in listed],
        meta_file=str(bundle.configs / "metadata.json"),
        workflow_type=kind,
        logging_file=False,
        **settings_here(bundle, content),
        **tiny,
    )


@check("contract.folder", "house", "the contract of this collection", "code")
def own_folder(bundle: Bundle) -> Found:
    """The package finds its own folder, wherever the command was started."""
    path = bundle.config("train")
    if path is None:
        raise NotApplicableError("no configs/train")
    root = bundle.parser(path).get_parsed_content("bundle_root")
    if Path(root).resolve() != bundle.folder.resolve():
        yield Fault("bundle_root", f"is {bundle.folder}", root, "derive it from where the bundle's package lies")
