"""Scores as a table for the terminal, as CSV and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..errors import OutputError, some
from ..files import as_cell, write_text
from .scores import Estimate, Measures, Scores

FILES = ("scores.csv", "scores.json")
SHOWN = {
    "accuracy": "accuracy",
    "p_chance": "p (chance)",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "real": "real images",
    "synthetic": "synthetic images",
    "synthetic_minus_real": "synthetic - real",
    "first_half": "first half",
    "second_half": "second half",
    "learning": "second - first half",
    "p_trend": "p (trend)",
    "repeats_same": "repeats answered alike",
    "repeats_kappa": "kappa of repeats",
    "seconds_median": "seconds (median)",
    "accuracy_over_cases": "accuracy, cases drawn",
}
"""Measures of the table in the terminal; the files have all."""


def require_new(out: Path | None, overwrite: bool) -> None:
    """Refuse a folder that holds scores already, unless they may be replaced.

    Raises:
        OutputError: it does, or is no folder.
    """
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out} is a file", "pass a folder")
    if (there := [name for name in FILES if (out / name).exists()]) and not overwrite:
        raise OutputError(f"--out {out} already holds {some(there)}", "add --overwrite, or choose another --out")


def text_of(scores: Scores) -> str:
    """The question, a line for each measure with a column for each reader, agreement, confusion and notes."""
    parts = [f"{scores.question} Study {scores.study}; guesses are correct in {scores.chance:.3g}."]
    parts.append(_table(scores.readers))
    if scores.agreement:
        parts.append("\n".join(f"{name}: {_shown(found)}" for name, found in scores.agreement.items()))
    for name, kinds in scores.confusion.items():
        for kind, table in kinds.items():
            if len(table) > 2 or kind == "all":
                parts.append(f"{name}, {kind} images: truth in rows, answers in columns\n{_matrix(table)}")
    return "\n\n".join([*parts, *scores.notes])


def _table(readers: Mapping[str, Measures]) -> str:
    names = [name for name in SHOWN if any(name in measures for measures in readers.values())]
    rows = [["", *readers], ["n", *(str(measures["accuracy"].n) for measures in readers.values())]]
    empty = Estimate(None)
    rows += [[SHOWN[name], *(_shown(measures.get(name, empty), name) for measures in readers.values())]
             for name in names]  # fmt: skip
    return _aligned(rows)


def _matrix(table: Mapping[str, Mapping[str, int]]) -> str:
    return _aligned([["", *table], *([truth, *map(str, counts.values())] for truth, counts in table.items())])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
             for row in rows)  # fmt: skip
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _shown(estimate: Estimate, name: str = "") -> str:
    if estimate.value is None:
        return "-"
    value = f"{estimate.value:.1f}" if name.startswith("seconds") else f"{estimate.value:.3f}"
    if name.startswith("p_"):
        value = "<0.001" if estimate.value < 0.001 else value
    return value if estimate.low is None else f"{value} [{estimate.low:.3f}, {estimate.high:.3f}]"


def write_scores(out: Path, scores: Scores) -> list[Path]:
    """Write ``scores.csv`` (reader, measure, value, low, high, n) and ``scores.json``; return their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = [
        {"reader": as_cell(reader), "measure": as_cell(name), **dataclasses.asdict(found)}
        for reader, measures in [*scores.readers.items(), ("between readers", scores.agreement)]
        for name, found in measures.items()
    ]
    paths = [out / name for name in FILES]
    write_text(paths[0], pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
    write_text(paths[1], json.dumps(dataclasses.asdict(scores), indent=2, allow_nan=False) + "\n")
    return paths
