"""The code of a bundle as it is delivered in a release."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser as IniParser
from pathlib import Path

from tools.release.pack.renaming import SHARED, Renaming


def modules_of(folder: Path, renaming: Renaming) -> Iterator[tuple[str, str]]:
    """Every module of a package. All of ``common`` travels: settings may name any loss or transform, and the
    commands ``python -m`` any reader; what is reached from the shipped configs alone would be less than is offered.
    """
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder).as_posix()
        yield place, renaming.python(path.read_text(), str(path))


def package_data(root: Path, package: str) -> dict[str, bytes]:
    """Files next to the modules of ``common`` that ``setup.cfg`` lists as package data."""
    setup = IniParser()
    setup.read(root / "setup.cfg")
    patterns = setup["options.package_data"]["*"].split()
    paths = (path for pattern in patterns for path in (root / SHARED).rglob(pattern))
    return {f"{package}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}
