"""Where the weights that a bundle ships lie; imports no PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

SHIPPED_PREFIX = "pretrained"
"""Prefix of the names of all weights that a bundle ships, and of no other file in its ``models``."""
PRETRAINED_NAME = f"{SHIPPED_PREFIX}.pt"
"""Name of shipped weights where a bundle's config names none by task and network."""
NAMED = re.compile(rf"^shipped_weights: ({SHIPPED_PREFIX}\w*\.pt)\s*$", re.MULTILINE)


def shipped_weights(bundle: Path) -> Path:
    """Path of the weights that a bundle ships, there or not: in ``models``, by the name in ``inference.yaml``."""
    config = bundle / "configs" / "inference.yaml"
    named = NAMED.search(config.read_text(encoding="utf-8")) if config.is_file() else None
    return bundle / "models" / (named[1] if named else PRETRAINED_NAME)
