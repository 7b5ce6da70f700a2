"""A bundle's folder: its files, configs and metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

WHOLE = ("train", "inference", "study")
"""Configs that are complete in one file; the others lie over ``train``."""
EVALUATED = ("train", "evaluate")
"""Configs of an evaluation, which an overlay may lie over."""
LEFTOVERS = (
    *("demo_data/", "demo_data_kspace/", "demo/", "pretraining/", "predictions/", "evaluation/", "variants/"),
    *(".demo_data", "study/", "tasks/", "epochs/", "events/", "eval/", "models/previous/"),
)
"""What using a bundle leaves in its folder; no part of the bundle."""
FORMAT_END = "_data_format"


@dataclass(frozen=True)
class ValidatedBundle:
    """A bundle that lies unpacked in a folder named as it is."""

    folder: Path

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
        """``metadata.json``."""
        return read(self.configs / "metadata.json")

    @cached_property
    def model_info(self) -> dict[str, Any]:
        """What a release says of itself in ``model_info.json``; nothing where there is none."""
        path = self.folder / "model_info.json"
        return read(path) if path.is_file() else {}

    @cached_property
    def packages(self) -> list[str]:
        """Top-level Python packages that travel inside; in the repository ``common`` is a link."""
        found = (path.parent for path in self.folder.glob("*/__init__.py"))
        return sorted(path.name for path in found if not path.is_symlink())

    @cached_property
    def packed(self) -> bool:
        """Whether it is a release, which carries a copy of ``common`` in a package of its name and version."""
        return any(re.fullmatch(rf"{re.escape(self.name)}_v\w+", name) for name in self.packages)

    @property
    def formats(self) -> dict[str, dict[str, Any]]:
        """Tensors of each network that metadata describe, by the network's name, such as ``discriminator``."""
        ends = {key: value for key, value in self.metadata.items() if key.endswith(FORMAT_END)}
        return {key.removesuffix(FORMAT_END): value for key, value in ends.items()}

    @property
    def latent(self) -> bool:
        """Whether there is no source image: the input of the network is no image but a vector."""
        first: dict[str, Any] = next(iter(self.formats.get("network", {}).get("inputs", {}).values()), {})
        return bool(first.get("type", "image") != "image")

    def files(self) -> Iterator[Path]:
        """Every file that is part of the bundle, sorted."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not self.relative(path).startswith(LEFTOVERS):
                yield path

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
        return [path for path in paths if path.suffix in (".yaml", ".json") and path.name != "metadata.json"]

    @cached_property
    def contents(self) -> dict[Path, dict[str, Any]]:
        """The content of every config."""
        return {path: read(path) for path in self.config_files}

    def config(self, stem: str) -> Path:
        """The file of a config."""
        return self.configs / f"{stem}.yaml"

    def whole(self, stem: str) -> dict[str, Any]:
        """A config as it stands, such as ``train``."""
        return read(self.config(stem))

    def parser(self, *stems: str) -> ConfigParser:
        """MONAI's parser of some configs, one over the other, and of the metadata."""
        parser = ConfigParser()
        parser.read_config([str(self.config(stem)) for stem in stems])
        parser.read_meta(self.metadata)
        return parser


def read(path: Path) -> dict[str, Any]:
    """The content of a YAML or JSON file; TypeError where it is no mapping."""
    content = ConfigParser.load_config_file(path)
    if not isinstance(content, dict):
        raise TypeError(f"{path.name} holds no mapping")
    return content


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a nested configuration with its id, as MONAI writes it."""
    nested = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if nested is None:
        yield name, value
        return
    for key, part in nested:
        yield from leaves(part, f"{name}::{key}" if name else str(key))


def all_leaves(bundle: ValidatedBundle) -> Iterator[tuple[str, Any]]:
    """Every value of every config, with file and id, as ``configs/train.yaml network_def::depth``."""
    for path, content in bundle.contents.items():
        for name, value in leaves(content):
            yield f"configs/{path.name} {name}", value
