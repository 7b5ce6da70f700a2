"""Files next to weights that hold for exactly these: what was calibrated or graded after the training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError
from ..files import parse_json, write_text
from . import checkpoints

Made = TypeVar("Made")


def write_beside(path: Path, schema_version: int, told: Mapping[str, Any]) -> Path:
    """Write a file as JSON, and return its path; ``told`` has the ``sha256`` of the weights.

    Raises:
        OutputError: for a folder that cannot be written.
    """
    write_text(path, json.dumps({"schema_version": schema_version, **told}, indent=1) + "\n")
    return path


def read_beside(
    weights: Path, path: Path, schema_version: int, parse: Callable[[Mapping[str, Any]], Made], words: Mapping[str, str]
) -> Made:
    """What such a file holds.

    Args:
        weights: which it must be of.
        path: of the file.
        schema_version: that is read.
        parse: of its content, where what is missing or wrong is a ``KeyError``, ``TypeError`` or ``ValueError``.
        words: for messages: ``option`` that needs the file, ``kind`` of file with its article, and the ``remedy``.

    Raises:
        CheckpointError: there is none, it is of other weights, or it is not as written.
    """
    remedy = words["remedy"]
    if not path.is_file():
        raise CheckpointError(words["option"], f"has {words['kind']}, {path}", "no such file", remedy)
    try:
        told = parse_json(path.read_text(encoding="utf-8"))
        if told["schema_version"] != schema_version:
            raise ValueError(f"schema_version {told['schema_version']}, this version reads {schema_version}")
        sha256, made = told["sha256"], parse(told)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(str(path), f"holds {words['kind']}", repr(error)[:200], remedy) from error
    if (own := checkpoints.sha256(weights)) != sha256:
        raise CheckpointError(str(path), f"is of the weights {own[:12]}...", f"{sha256[:12]}...", remedy)
    return made
