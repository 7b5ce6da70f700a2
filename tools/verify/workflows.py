"""Checks of imports, components and MONAI's workflow properties."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

from monai.bundle import ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.utils import BundleProperty, BundlePropertyConfig, ensure_tuple

from tools.verify.bundle import Bundle
from tools.verify.configs import all_leaves
from tools.verify.files import SHARED
from tools.verify.networks import settings_here
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, deepest, expect

KINDS = {"infer": ["inference"], "train": ["train"], "train to evaluate": ["train", "evaluate"]}
"""Configs of each kind of workflow, one over the other; its first word is MONAI's name for it."""
TINY = {"phantoms::cases": 4, "phantoms::spacing": 5, "max_epochs": 1, "batch_size": 2}
"""Settings that keep the data small which bundles of this collection generate."""
ABSENT = ("FileNotFoundError", "NotADirectoryError")


@check("code.imports", "sound", "Python", "code")
def imports(bundle: Bundle) -> Found:
    """Every module can be imported, offline."""
    names = _module_names(bundle)
    if not names:
        raise NotApplicableError("no package inside")
    own = _unload_shared() if bundle.packed else {}  # what the validator itself imported
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever foreign code does
            yield Fault(f"module {name}", "can be imported", deepest(error), "fix it or install what it needs")
    if bundle.packed and SHARED in sys.modules:
        value = getattr(sys.modules[SHARED], "__file__", SHARED)
        yield Fault(f"package {SHARED}", "is not imported by a release", value, "pack the bundle again")
    if bundle.packed:
        _unload_shared()  # else a later import would find halves of two copies
        sys.modules.update(own)
    yield f"{len(names)} modules"


def _unload_shared() -> dict[str, ModuleType]:
    """Take every loaded module of the shared package out of ``sys.modules``; the modules by their names."""
    return {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == SHARED}


def _module_names(bundle: Bundle) -> list[str]:
    """Every module of the bundle's packages; a ``__main__`` would run."""
    paths = [path.relative_to(bundle.folder).with_suffix("") for path in bundle.sources if path.stem != "__main__"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths if path.parts[0] in bundle.packages)


@check("configs.targets", "sound", "monai.bundle", "code")
def targets(bundle: Bundle) -> Found:
    """Every _target_ exists."""
    locator = ComponentLocator()
    known: dict[str, bool] = {}
    for name, value in all_leaves(bundle):
        if name.endswith("_target_") and isinstance(value, str) and value[:1] not in "$@%":
            if value not in known:
                module = ensure_tuple(locator.get_component_module_name(value) if "." not in value else None)[0]
                known[value] = locate(f"{module}.{value}" if module else value) is not None
            yield expect(known[value], name, "names a component that exists", value, "correct the name")
    yield f"{len(known)} components"


@check("workflow.properties", "zoo", "model zoo, verify_bundle.py: verify_bundle_properties", "code")
def properties(bundle: Bundle) -> Found:
    """Inference, training and evaluation have the properties of MONAI's workflows."""
    for kind, stems in KINDS.items():
        files = [path for stem in stems if (path := bundle.config(stem)) is not None]
        if len(files) == len(stems):
            yield from _missing(bundle, f"configs/{stems[-1]}", _workflow(bundle, kind.split()[0], files))


def _missing(bundle: Bundle, name: str, workflow: ConfigWorkflow) -> Found:
    known: Any = workflow.properties
    ids = {key: one[BundlePropertyConfig.ID] for key, one in known.items()}
    wrong = [key for key in ids if known[key][BundleProperty.REQUIRED] and ids[key] not in workflow.parser]
    if not wrong:
        try:
            workflow.initialize()
            wrong = workflow.check_properties() or []
        except Exception as error:  # whatever foreign code does
            told = deepest(error)
            if bundle.house or not told.startswith(ABSENT):
                yield Fault(name, "can be initialised", told, "fix what raises it")
            else:
                yield f"{name} by its ids alone, since data or weights are absent: {told}"
    for key in wrong:
        remedy = "see monai.bundle.properties for the ids that MONAI looks for"
        yield Fault(f"{name} {ids[key]}", f"is there, as the workflow's property {key}", "no such id", remedy)


def _workflow(bundle: Bundle, kind: str, files: list[Path]) -> ConfigWorkflow:
    """On the CPU; a bundle of this collection at the size of its demo on a few small phantoms.

    Weights that a release ships know their network, which the demo's size would contradict.
    """
    fitted = (bundle.folder / "models" / "model.pt").is_file() and (kind != "train" or len(files) > 1)
    demo = [path] if bundle.house and not fitted and (path := bundle.config("demo")) else []
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
