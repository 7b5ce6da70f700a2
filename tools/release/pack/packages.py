"""The packages of a release and the names of their modules.

Two releases in one process share every module whose name they share. In a release the bundle's package is therefore
named by bundle and version, ``mr2ct_pix2pix_v0_1_0``, and ``common`` is a part of it.
"""

from __future__ import annotations

import re
from configparser import ConfigParser as IniParser
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError
from common.weights.module_names import renamed

SHARED = "common"
VERSION = r"\d+(\.\d+)*((a|b|rc)\d+)?"
"""Versions whose dots can become underscores without two of them becoming one."""


@dataclass(frozen=True)
class Packages:
    """The package of a bundle and ``common``, as they become one in a release.

    Attributes:
        root: of the repository.
        bundle: its name.
        name: of the package in the release, see :func:`package_name`.
    """

    root: Path
    bundle: str
    name: str

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each, by its name in the repository."""
        return {self.bundle: self.root / "bundles" / self.bundle / self.bundle, SHARED: self.root / SHARED}

    @property
    def names(self) -> dict[str, str]:
        """The name of each in the release, by that in the repository."""
        return {self.bundle: self.name, SHARED: f"{self.name}.{SHARED}"}

    def text(self, text: str) -> str:
        """Code, a config or prose; modules have the names, and files the places, that they have in the release."""
        text = text.replace(f"bundles/{self.bundle}/", "")
        for package, folder in self.folders.items():
            known = "|".join(sorted(path.stem for path in folder.iterdir()))
            place = self.names[package].replace(".", "/")
            text = re.sub(rf"(?<![\w./]){package}/(?=({known})\b)", f"{place}/", text)
        return renamed(text, self.names)

    def files(self) -> dict[str, bytes]:
        """Every module, and the files beside those of ``common`` that ``setup.cfg`` lists as package data.

        All of ``common`` travels: settings may name any loss or transform, and the commands ``python -m`` any reader;
        what is reached from the shipped configs alone would be less than is offered.
        """
        setup = IniParser()
        setup.read(self.root / "setup.cfg")
        patterns = ["*.py", *setup["options.package_data"]["*"].split()]
        found = {}
        for package, folder in self.folders.items():
            for path in (path for pattern in patterns for path in sorted(folder.rglob(pattern))):
                place = f"{self.names[package].replace('.', '/')}/{path.relative_to(folder).as_posix()}"
                is_code = path.suffix == ".py"
                found[place] = self.text(path.read_text()).encode() if is_code else path.read_bytes()
        return found


def package_name(bundle: str, version: str) -> str:
    """The package of a release: that of ``mr2ct_pix2pix`` 0.1.0 is ``mr2ct_pix2pix_v0_1_0``.

    Raises:
        ConfigError: for a version that is not numbers and dots.
    """
    if not re.fullmatch(VERSION, version):
        raise ConfigError(f"version {version!r} of {bundle} is not like 0.2.0", "correct it in metadata.json")
    return f"{bundle}_v{version.replace('.', '_')}"
