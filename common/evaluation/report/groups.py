"""Scores by centre and body part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...case_keys import GROUPS
from ...files import write_text
from .tables import Summary, plain_summary, summarise

UNKNOWN = "unknown"
FILE_NAME = "groups.json"


def by_group(rows: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> dict[str, Summary]:
    """Means over the cases of each centre and of each body part, ``{"centre": {"A, model": cells, ...}, ...}``.

    A key that has one value in all cases, or none, is left out.

    Args:
        rows: of metrics, with ``case`` and ``method``.
        items: of the cases, with ``case`` and any of the keys of groups.
    """
    tables: dict[str, Summary] = {}
    for key in GROUPS:
        values = {str(item["case"]): str(item.get(key, UNKNOWN)) for item in items}
        names = sorted(set(values.values()))
        if len(names) < 2:
            continue
        parts = {name: summarise([row for row in rows if values[str(row["case"])] == name]) for name in names}
        tables[key] = {f"{name}, {method}": cells for name, part in parts.items() for method, cells in part.items()}
    return tables


def write_groups(folder: Path, groups: Mapping[str, Summary]) -> None:
    """Write ``groups.json`` into ``folder``, each table in the form of ``summary.json``; without groups, remove it.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(folder) / FILE_NAME
    if not groups:
        path.unlink(missing_ok=True)
        return
    plain = {key: plain_summary(summary) for key, summary in groups.items()}
    write_text(path, json.dumps(plain, indent=2, allow_nan=False) + "\n")
