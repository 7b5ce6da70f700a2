"""Names of modules in what runs and releases write: those of the repository, whichever release wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHARED = __name__.split(".")[-3]
PACKAGE = __name__.rpartition(f"{SHARED}.")[0].rstrip(".")
"""The package of a release, such as ``mr2ct_pix2pix_v0_1_0``, which holds the shared one; empty in the repository."""
BUNDLE = re.sub(r"_v\d+(_\d+)*\w*$", "", PACKAGE)

MOVED = {
    "transforms.TargetScale": "training.handlers.TargetScale",
    "transforms.Misregisterd": "simulation.misregister.Misregisterd",
    "trained.InputCheck": "trust.InputCheck",
    "handlers": "training.handlers",
    "methods": "training.methods",
    "engines": "training",
    "inferers": "stitching",
    "phantoms": "simulation",
    "anatomy": "segmenter",
}
"""Where the parts of the shared package lie that weights and runs of earlier versions name otherwise."""


def portable(text: str) -> str:
    """A text with the names that modules have in the repository, whichever release wrote it."""
    return (
        re.sub(rf"\b{PACKAGE}\.", f"{BUNDLE}.", text.replace(f"{PACKAGE}.{SHARED}.", f"{SHARED}.")) if PACKAGE else text
    )


def local(text: str) -> str:
    """A text of :func:`portable`, of this version or an earlier one, with the names that modules have here."""
    for earlier, now in MOVED.items():
        text = re.sub(rf"(?<![\w.]){SHARED}\.{re.escape(earlier)}(?=[.\"])", f"{SHARED}.{now}", text)
    if not PACKAGE:
        return text
    names: Iterable[tuple[str, str]] = ((SHARED, f"{PACKAGE}.{SHARED}"), (BUNDLE, PACKAGE))
    for name, own in names:
        text = re.sub(rf"(?<![\w.]){name}\.(?=[a-z_])", f"{own}.", text)
    return text
