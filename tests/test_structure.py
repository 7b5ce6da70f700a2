"""The structure of the code: which folder may import which, how long modules are, and whose names they have."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = sorted(path.parents[1] for path in ROOT.glob("bundles/*/configs/train.yaml"))
PACKAGES = {
    **dict.fromkeys(("common", "tools", "medical_image_synthesis"), ROOT),
    **{path.name: path for path in BUNDLES},
}
ROOMS = (
    *("errors", "path_names", "case_keys", "files", "grids", "progress", "seeds", "devices", "raw_settings", "units"),
    *("networks", "weights", "config", "runs", "stitching", "segmenter", "io", "transforms", "metrics", "losses"),
    *("data", "simulation", "training", "evaluation", "registration", "trust", "inference", "reader_study"),
)
"""What lies in ``common``; each imports only what stands before it."""


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    found = {}
    for package, parent in PACKAGES.items():
        for path in (parent / package).rglob("*.py"):
            name = ".".join(path.relative_to(parent).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(name: str, everywhere: bool = False) -> Iterator[str]:
    """The modules that a module imports, of the project by their own names; ``everywhere``: in functions, too."""
    tree = ast.parse(MODULES[name].read_text())
    package = name if MODULES[name].stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield whole if whole in MODULES else module


def reached(name: str) -> set[str]:
    """What is imported with a module: what it imports, the packages that these are in, and so on."""
    found, todo = set(), [name]
    while todo:
        parts = todo.pop().split(".")
        for own in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):
            if own in MODULES and own not in found:
                found.add(own)
                todo += [other for other in imported(own) if other.split(".")[0] in PACKAGES]
    return found


def test_a_room_imports_only_rooms_before_it() -> None:
    rooms = {
        path.stem for path in (ROOT / "common").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms - {"__init__"} == set(ROOMS)
    backwards = {
        f"{name} -> {other}"
        for name in MODULES
        for other in imported(name, everywhere=True)
        if name.startswith("common.") and other.startswith("common.")
        if ROOMS.index(other.split(".")[1]) > ROOMS.index(name.split(".")[1])
    }
    assert backwards == set()


def test_imports_inside_common_are_relative() -> None:
    """So that it works under any name."""
    absolute = {
        f"{name}: {node.module}"
        for name, path in MODULES.items()
        if name.split(".")[0] == "common"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and not node.level and node.module and node.module.split(".")[0] == "common"
    }
    assert absolute == set()


def test_common_knows_no_bundle() -> None:
    names = {folder.name for folder in BUNDLES}
    known = {name: names & {other.split(".")[0] for other in imported(name)} for name in MODULES}
    assert {name: found for name, found in known.items() if found and name.startswith("common")} == {}


def test_no_import_goes_round_in_a_circle() -> None:
    """A module of the project imports no module that imports it, packages on the way left aside."""
    direct = {name: {other for other in imported(name) if other in MODULES and other != name} for name in MODULES}
    seen: dict[str, set[str]] = {}

    def behind(name: str, path: tuple[str, ...]) -> set[str]:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in seen:
            seen[name] = direct[name].union(*(behind(other, (*path, name)) for other in direct[name]))
        return seen[name]

    assert max(len(behind(name, ())) for name in MODULES) > 20


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_networks_need_no_trainer_and_no_data(folder: Path) -> None:
    found = reached(f"{folder.name}.networks")
    allowed = ("common", "common.networks", "common.errors", "common.files", folder.name)
    assert {
        name for name in found if not name.startswith(("common.networks.", folder.name)) and name not in allowed
    } == set()


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_inference_reaches_nothing_of_a_training(folder: Path) -> None:
    targets = re.findall(r"_target_: ([\w.]+)", (folder / "configs" / "inference.yaml").read_text())
    named = {name for target in targets for name in MODULES if target.startswith(f"{name}.")}
    assert {"common.config", "common.runs"} <= named
    found = set().union(*map(reached, named))
    assert {name for name in found if name.startswith("common.training")} == set()


def test_common_networks_need_torch_and_monai_alone() -> None:
    others = {other.split(".")[0] for name in MODULES if name.startswith("common.networks") for other in imported(name)}
    assert others <= {"__future__", "collections", "copy", "typing", "torch", "monai", "common"}


def test_who_writes_csv_marks_what_a_spreadsheet_would_compute() -> None:
    texts = {name: path.read_text() for name, path in MODULES.items() if not name.startswith("tools")}
    writers = {
        name
        for name, text in texts.items()
        if any(word in text for word in (".to_csv(", "csv.DictWriter", "csv.writer"))
    }
    assert len(writers) >= 4
    assert [name for name in writers if "as_cell" not in texts[name]] == []


def test_no_two_classes_have_one_name() -> None:
    counts = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in counts.items() if count > 1] == []
