"""A bundle's folder: its name, its files, its configs and whose it is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from common.files import require_bounded
from tools.verify.verdicts import NotApplicableError

HOUSE_AUTHORS = "The medical image synthesis bundles contributors"
"""Metadata's ``authors`` by which a bundle of this collection is known: it survives copying, packing and renaming."""
WHOLE = ("train", "inference", "study")
"""Configs that are complete in one file; the others lie over ``train``."""
LEFTOVERS = (
    *("demo_data", "demo", "pretraining", "predictions", "evaluation", "variants", "study", "events", "eval"),
    *("models/previous", ".git"),
)
"""Folders that using a bundle leaves in its own; no part of the bundle."""
FORMAT_END = "_data_format"
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Bundle:
    """A bundle that lies unpacked in a folder named as it is.

    ``overlay`` is the stem of a config, such as ``demo``, with which networks are built; ``archive`` the zip it was in.
    """

    folder: Path
    overlay: str | None = None
    archive: Path | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def configs(self) -> Path:
        """The folder of the configs."""
        return self.folder / "configs"

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """``metadata.json``; not applicable where it cannot be read, which ``files.metadata`` reports."""
        return read(self.configs / "metadata.json")

    @cached_property
    def house(self) -> bool:
        """Whether it is one of this collection, by metadata's authors; by its package's name where there are none."""
        try:
            return self.metadata.get("authors") == HOUSE_AUTHORS
        except NotApplicableError:
            return any(name.startswith(self.name) for name in self.packages)

    @cached_property
    def packed(self) -> bool:
        """Whether it is a release that carries a copy of ``common`` in a package of its name and version."""
        return any(re.fullmatch(rf"{re.escape(self.name)}_v\w+", name) for name in self.packages)

    @cached_property
    def model_info(self) -> dict[str, Any]:
        """What a release says of itself in ``model_info.json``; nothing where there is none."""
        path = self.folder / "model_info.json"
        return read(path) if path.is_file() else {}

    @property
    def formats(self) -> dict[str, dict[str, Any]]:
        """Tensors of each network that metadata describe, by the network's name, such as ``discriminator``."""
        ends = {key: value for key, value in self.metadata.items() if key.endswith(FORMAT_END)}
        return {key.removesuffix(FORMAT_END): value for key, value in ends.items() if isinstance(value, dict)}

    @property
    def latent(self) -> bool:
        """Whether there is no source image: the first input of the network is no image but a vector."""
        first = next(iter((self.formats.get("network", {}).get("inputs") or {}).values()), None)
        return isinstance(first, dict) and first.get("type", "image") != "image"

    @cached_property
    def packages(self) -> list[str]:
        """Top-level Python packages that travel inside."""
        return sorted(path.parent.name for path in self.folder.glob("*/__init__.py") if path.parent.name != "tests")

    def files(self) -> Iterator[Path]:
        """Every file that is part of the bundle, sorted."""
        left = tuple(f"{name}/" for name in LEFTOVERS)
        for path in sorted(self.folder.rglob("*")):
            place = self.relative(path)
            if path.is_file() and "__pycache__" not in path.parts and not place.startswith(left):
                yield path

    def copy(self, folder: Path) -> Path:
        """A copy, in ``folder``, that its code may write into, without what using it has left there."""
        for path in self.files():
            place = folder / self.name / path.relative_to(self.folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        return folder / self.name

    @property
    def sources(self) -> list[Path]:
        """Its Python files."""
        return [path for path in self.files() if path.suffix == ".py"]

    def relative(self, path: Path) -> str:
        """A file's path inside the bundle."""
        return path.relative_to(self.folder).as_posix()

    def text(self, name: str) -> str:
        """A file's text; empty where there is no such file."""
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @property
    def config_files(self) -> list[Path]:
        """Every config, sorted; metadata is none."""
        paths = sorted(self.configs.glob("*"))
        return [path for path in paths if path.suffix in SUFFIXES and path.name != "metadata.json"]

    def config(self, stem: str) -> Path | None:
        """The file of a config, YAML before JSON."""
        paths = (self.configs / f"{stem}{suffix}" for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def readable(self) -> dict[Path, dict[str, Any]]:
        """The content of the configs that can be read; of the others ``configs.readable`` reports."""
        found = {}
        for path in self.config_files:
            with suppress(NotApplicableError):
                found[path] = read(path)
        return found

    def whole(self, stem: str) -> dict[str, Any]:
        """A config as it stands, such as ``train``; not applicable where the bundle has none."""
        path = self.config(stem)
        if path is None:
            raise NotApplicableError(f"there is no configs/{stem}.yaml or .json")
        return read(path)

    def parser(self, *paths: Path) -> ConfigParser:
        """MONAI's parser of some files, one over the other, and of the metadata."""
        parser = ConfigParser()
        parser.read_config([str(path) for path in paths])
        parser.read_meta(self.metadata)
        return parser


def read(path: Path) -> dict[str, Any]:
    """The content of a YAML or JSON file; NotApplicableError where it is no sound mapping, whose cause says why."""
    try:
        content = ConfigParser.load_config_file(path)
        require_bounded(content, path.name)
    except Exception as error:  # broken YAML, broken JSON, a duplicate key, aliases without an end
        raise NotApplicableError(f"{path.name} cannot be read") from error
    if not isinstance(content, dict):
        raise NotApplicableError(f"{path.name} holds no mapping")
    return content
