"""Names of modules: in a release and in the wheel they are others than in the repository.

What runs write has those of the repository, whichever of them wrote it. The build of the wheel runs this file alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHARED = __name__.split(".")[-3]
PACKAGE = __name__.rpartition(f"{SHARED}.")[0].rstrip(".")
"""What holds the shared package: that of a release, such as ``mr2ct_pix2pix_v0_1_0``, or of the wheel; else empty."""
_RELEASE = re.fullmatch(r"(.+)_v\d+\w*", PACKAGE)
BUNDLE = _RELEASE[1] if _RELEASE else ""
"""The bundle of a release; empty in the repository and the wheel, which hold several."""


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Code, a config or prose in which modules of some packages, as they are imported or named, have other names.

    A package is meant where a name with a small first letter follows it, as in ``common.data``, or ``import``; no
    variable may be called as it.

    Args:
        text: what names them.
        names: of the packages, each with its new one.
    """
    known = "|".join(map(re.escape, names))
    return (
        re.sub(rf"(?<![\w./])({known})(?=\.[a-z_]| import\b)", lambda found: names[found[1]], text) if known else text
    )


def _names() -> dict[str, str]:
    """The names that packages have here, where they have others than in the repository."""
    if not PACKAGE:
        return {}
    shared = {SHARED: f"{PACKAGE}.{SHARED}"}
    if BUNDLE:
        return shared | {BUNDLE: PACKAGE}
    found = sorted(Path(__file__).parents[2].glob("bundles/*/*/__init__.py"))
    return shared | {path.parent.name: f"{PACKAGE}.bundles.{path.parts[-3]}.{path.parts[-2]}" for path in found}


NAMES = _names()


def portable(text: str) -> str:
    """A text with the names that modules have in the repository."""
    for name, own in NAMES.items():
        text = re.sub(rf"\b{re.escape(own)}\.", f"{name}.", text)
    return text


def local(text: str) -> str:
    """A text of :func:`portable` with the names that modules have here."""
    return renamed(text, NAMES)


def with_local_targets(settings: Any) -> Any:
    """A copy of raw settings, such as those of an overlay, with the names that modules have here."""
    if isinstance(settings, dict):
        return {key: _local_target(key, part) for key, part in settings.items()}
    if isinstance(settings, list):
        return [_local_target("", part) for part in settings]
    return settings


def _local_target(key: Any, value: Any) -> Any:
    if isinstance(value, str):
        return local(value) if str(key).endswith("_target_") or value.startswith("$") else value
    return with_local_targets(value)
