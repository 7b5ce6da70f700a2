"""Names of modules in what runs and releases write: those of the repository, whichever release wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHARED = __name__.split(".")[-3]
PACKAGE = __name__.rpartition(f"{SHARED}.")[0].rstrip(".")
"""The package of a release, such as ``mr2ct_pix2pix_v0_1_0``, which holds the shared one; empty in the repository."""
BUNDLE = re.sub(r"_v\d+(_\d+)*\w*$", "", PACKAGE)


def portable(text: str) -> str:
    """A text with the names that modules have in the repository, whichever release wrote it."""
    return (
        re.sub(rf"\b{PACKAGE}\.", f"{BUNDLE}.", text.replace(f"{PACKAGE}.{SHARED}.", f"{SHARED}.")) if PACKAGE else text
    )


def local(text: str) -> str:
    """A text of :func:`portable` with the names that modules have here."""
    if not PACKAGE:
        return text
    names: Iterable[tuple[str, str]] = ((SHARED, f"{PACKAGE}.{SHARED}"), (BUNDLE, PACKAGE))
    for name, own in names:
        text = re.sub(rf"(?<![\w.]){name}\.(?=[a-z_])", f"{own}.", text)
    return text
