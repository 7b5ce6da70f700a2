"""The files of the wheel: one package that holds the command and, with configs and shipped weights, every bundle.

A bundle's folder in it is like that of a release: its package is named by bundle and version, and ``common`` is a part
of it. Needs neither PyTorch nor MONAI, so that ``pip install .`` can build it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tools.release.pack import documents
from tools.release.pack.modules import modules_of, package_data
from tools.release.pack.renaming import SHARED, Renaming, package_name

PRODUCT = "medical_image_synthesis"
NEEDED = ("__init__", "errors", "files", "path_names")
"""Modules of the shared package that the command imports."""
KEPT = ("LICENSE", "docs/data_license.txt", "configs/logging.conf", "configs/metadata.json")
WEIGHTS = ("models/pretrained*.pt", "models/pretrained*.json")
EDITABLE = "MEDICAL_IMAGE_SYNTHESIS_EDITABLE"
"""Variable of the environment that is set while an editable installation is built."""
ENTRY_POINTS = {"console_scripts": [f"synthesize = {PRODUCT}.__main__:synthesize"]}


def wheel_files(root: Path) -> dict[str, bytes]:
    """Every file of the wheel's package by its path.

    Args:
        root: of the repository.

    Raises:
        ConfigError: for a version that cannot be part of a package's name.
        DataError: for a module that cannot be renamed.
    """
    texts = dict(_command(root))
    data: dict[str, bytes] = {}
    for path in sorted(root.glob("bundles/*/configs/inference.yaml")):
        folder = path.parents[1]
        place = f"{PRODUCT}/bundles/{folder.name}"
        texts |= {f"{place}/{name}": text for name, text in _bundle(root, folder)}
        package = f"{place}/{_package(folder)}"
        data |= package_data(root, package)
        weights = (file for pattern in WEIGHTS for file in sorted(folder.glob(pattern)))
        data |= {f"{place}/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in weights}
    return {name: text.encode() for name, text in texts.items()} | data


def _command(root: Path) -> Iterator[tuple[str, str]]:
    """The command's modules, and what they need of the shared package."""
    members = Renaming.of(PRODUCT, {SHARED: root / SHARED})
    for name, text in modules_of(root / PRODUCT, members):
        yield f"{PRODUCT}/{name}", text
    for name in NEEDED:
        path = root / SHARED / f"{name}.py"
        yield f"{PRODUCT}/{SHARED}/{name}.py", members.python(path.read_text(), str(path))


def _bundle(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The texts of a bundle by their path in its folder."""
    package = _package(folder)
    renaming = Renaming.of(package, {folder.name: folder / folder.name, SHARED: root / SHARED})
    for name, text in modules_of(folder / folder.name, renaming):
        yield f"{package}/{name}", text
    for name, text in modules_of(root / SHARED, renaming):
        yield f"{package}/{SHARED}/{name}", text
    for path in sorted((folder / "configs").glob("*.yaml")):
        yield f"configs/{path.name}", documents.head(renaming.config(path.read_text()))
    for name in KEPT:
        yield name, (folder / name).read_text()
    card = renaming.text((folder / "docs" / "README.md").read_text())
    yield "docs/README.md", documents.card(card, own_weights=False)


def _package(folder: Path) -> str:
    return package_name(folder.name, str(json.loads((folder / "configs" / "metadata.json").read_text())["version"]))
