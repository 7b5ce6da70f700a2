"""Measurements of backends, remembered in the user's cache."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from ..files import parse_json, write_text

logger = logging.getLogger(__name__)
MOST_REMEMBERED = 500


class Measurement(NamedTuple):
    """What one window has shown.

    Attributes:
        ratio: seconds of OpenVINO for one of PyTorch; infinite where the network cannot be converted.
        difference: largest one of the outputs, as a fraction of their scale.
        torch_s: seconds of PyTorch for an element of the input.
    """

    ratio: float
    difference: float
    torch_s: float


class Measurements:
    """Measurements of earlier runs, a JSON file in the user's cache; without effect where that cannot be used."""

    def __init__(self) -> None:
        self.path = cache_file()

    def read(self) -> dict[str, Measurement]:
        """The measurements by their key; those that are not three numbers are left out."""
        try:
            content = parse_json(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, UserError):
            return {}
        rows = content.items() if isinstance(content, dict) else ()
        return {key: Measurement(*map(float, row)) for key, row in rows if _is_measurement(row)}

    def add(self, key: str, measured: Measurement) -> None:
        """Note a measurement; the oldest ones go."""
        rows = [*{**self.read(), key: measured}.items()][-MOST_REMEMBERED:]
        try:
            write_text(self.path, json.dumps(dict(rows), indent=0) + "\n")
        except UserError as error:
            logger.debug(f"the measurement of backends is not kept: {error}")


def cache_file() -> Path:
    """Where measurements are kept."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(folder, "medical_image_synthesis", "backends.json")


def _is_measurement(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(type(each) in (int, float) for each in row)
