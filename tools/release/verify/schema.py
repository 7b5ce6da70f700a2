"""JSON schemas of metadata and configs, and the faults that they find."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import ValidationError
from jsonschema.validators import validator_for

from tools.release.verify.verdicts import Fault

FOLDER = Path(__file__).parent / "schemas"
"""In these schemas ``description`` is the fault of a value that breaks a rule, and ``$comment`` the remedy."""


@cache
def _validator(path: Path) -> Any:
    schema = json.loads(path.read_text(encoding="utf-8"))
    return validator_for(schema)(schema)


def faults(name: str, content: Any, schema: str, remedy: str) -> Iterator[Fault]:
    """Every breach of a schema.

    Args:
        name: of the file, for messages.
        content: what it holds.
        schema: name of a file in the folder ``schemas``.
        remedy: where the schema gives none.
    """
    for error in _validator(FOLDER / f"{schema}.json").iter_errors(content):
        place = " ".join([name, *map(str, error.absolute_path)])
        remedy_here = error.schema.get("$comment", remedy)
        if error.validator == "required":
            key = error.message.split("'")[1]
            yield Fault(f"{place} has no {key}", remedy_here)
        elif error.validator == "additionalProperties":
            yield from _unknown_keys(place, error)
        else:
            kind = f", {type(error.instance).__name__}" if error.validator == "type" else ""
            fault = error.schema.get("description", f"breaks the schema, {error.message[:200]}")
            yield Fault(f"{place} {fault} ({str(error.instance)[:200]}{kind})", remedy_here)


def _unknown_keys(place: str, error: ValidationError) -> Iterator[Fault]:
    known, patterns = (error.schema.get(key, {}) for key in ("properties", "patternProperties"))
    for key in sorted(error.instance.keys() - known.keys()):
        if not any(re.search(pattern, key) for pattern in patterns):
            nearest = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean {nearest[0]}?" if nearest else "remove it"
            yield Fault(f"{place} has the unknown key {key}", remedy)
