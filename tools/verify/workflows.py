"""Whether a bundle's code imports, its components exist, and MONAI's workflows find what they need."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from pydoc import locate
from typing import Any

import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.utils import BundleProperty, BundlePropertyConfig

from tools.verify.bundle import Bundle
from tools.verify.configs import leaves
from tools.verify.sources import SHARED, module_names
from tools.verify.verdicts import CONTRACT, Check, Fault, Found, NotApplicableError, crash

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
ABSENT = (FileNotFoundError, NotADirectoryError)


def imports(bundle: Bundle) -> Found:
    """Every module can be imported, and none reaches for the network or for another bundle's code."""
    names = module_names(bundle)
    if not names:
        raise NotApplicableError("no package inside")
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever foreign code does
            found = crash(error).value
            yield Fault(f"module {name}", "can be imported", found, "mend it or install what it needs")
    if bundle.packed and SHARED in sys.modules:
        value = getattr(sys.modules[SHARED], "__file__", SHARED)
        yield Fault(f"package {SHARED}", "is not imported by a release", value, "pack the bundle anew")
    yield f"{len(names)} modules"


def targets(bundle: Bundle) -> Found:
    """Every ``_target_`` names something that exists."""
    locator = ComponentLocator()
    known: dict[str, bool] = {}
    for path in bundle.config_files:
        for name, value in leaves(bundle.own(path)):
            if name.split("::")[-1] == "_target_" and isinstance(value, str) and value[:1] not in "$@%":
                if value not in known:
                    known[value] = _exists(value, locator)
                if not known[value]:
                    yield Fault(f"configs/{path.name} {name}", "names a component that exists", value, "mend the name")
    yield f"{len(known)} components"


def _exists(target: str, locator: ComponentLocator) -> bool:
    module = locator.get_component_module_name(target) if "." not in target else None
    if isinstance(module, list):
        module = module[0]
    return locate(f"{module}.{target}" if module else target) is not None


def infer_properties(bundle: Bundle) -> Found:
    """The inference workflow."""
    yield from _properties(bundle, "infer", "inference")


def train_properties(bundle: Bundle) -> Found:
    """The training workflow."""
    yield from _properties(bundle, "train", "train")


def evaluate_properties(bundle: Bundle) -> Found:
    """Evaluation, which lies over training and is checked as such."""
    yield from _properties(bundle, "train", "train", "evaluate")


def _properties(bundle: Bundle, kind: str, *stems: str) -> Found:
    files = [path for stem in stems if (path := bundle.config(stem)) is not None]
    if len(files) < len(stems):
        raise NotApplicableError(f"no configs/{stems[-1]}")
    workflow = _workflow(bundle, kind, files)
    remedy = "see monai.bundle.properties for the ids that MONAI looks for"
    absent = [name for name, (key, needed) in _ids(workflow).items() if needed and key not in workflow.parser]
    for name in absent:
        key = _ids(workflow)[name][0]
        yield Fault(f"configs/{stems[-1]} {key}", f"is there: the workflow's property {name}", "no such id", remedy)
    if absent:
        return
    try:
        workflow.initialize()
        wrong = workflow.check_properties() or []
    except Exception as error:
        if bundle.house or not _chain(error, ABSENT):
            raise
        yield f"by their ids alone, since data or weights are absent: {crash(error).value}"
        return
    for name in wrong:
        key = _ids(workflow)[name][0]
        yield Fault(f"configs/{stems[-1]} {key}", f"is referred to as the property {name}", "not so", remedy)


def _ids(workflow: ConfigWorkflow) -> dict[str, tuple[str, bool]]:
    properties: Any = workflow.properties
    return {name: (one[BundlePropertyConfig.ID], one[BundleProperty.REQUIRED]) for name, one in properties.items()}


def _workflow(bundle: Bundle, kind: str, files: list[Path]) -> ConfigWorkflow:
    """On the CPU; a bundle of this collection at the size of its demo on a few small phantoms."""
    demo = [path] if bundle.house and (path := bundle.config("demo")) else []
    listed = [files[0], *demo, *files[1:]]
    content = bundle.parser(*listed)
    settings: dict[str, Any] = {"device": torch.device("cpu")} if "device" in content else {}
    if isinstance(content.get("bundle_root"), str):
        settings["bundle_root"] = str(bundle.folder)
    if bundle.house:
        settings |= {key: value for key, value in TINY.items() if key.split("::")[0] in content}
    return ConfigWorkflow(
        [str(path) for path in listed],
        meta_file=str(bundle.configs / "metadata.json"),
        workflow_type=kind,
        logging_file=False,
        **settings,
    )


def _chain(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False


def own_folder(bundle: Bundle) -> Found:
    """The bundle's package finds the folder it lies in, wherever the command was started."""
    path = bundle.config("train")
    if path is None:
        raise NotApplicableError("no configs/train")
    root = bundle.parser(path).get_parsed_content("bundle_root")
    if Path(root).resolve() != bundle.folder.resolve():
        yield Fault("bundle_root", f"is {bundle.folder}", root, "derive it from where the bundle's package lies")


CHECKS = (
    Check("code.imports", "every module can be imported, offline", "Python", "sound", imports, executes=True),
    Check("configs.targets", "every _target_ exists", "monai.bundle", "sound", targets, executes=True),
    Check("workflow.infer", "inference has MONAI's properties", ZOO, "zoo", infer_properties, executes=True),
    Check("workflow.train", "training has MONAI's properties", ZOO, "zoo", train_properties, executes=True),
    Check("workflow.evaluate", "evaluation has MONAI's properties", ZOO, "zoo", evaluate_properties, executes=True),
    Check("contract.folder", "the package finds its own folder", CONTRACT, "house", own_folder, executes=True),
)
