"""The row of a benchmark: measures of each run beside published numbers, as JSON and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medical_image_synthesis.benchmark.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from common.data.datalist import Item

MODEL = "model"
"""What evaluations call the network."""
ARROWS = {"high": "↑", "low": "↓"}


def summary_of(recipe: Recipe, rows: pd.DataFrame, items: Sequence[Item]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation and number of cases of each measure by method and column.

    Args:
        recipe: with the measures, the key that groups cases, and the measure that weights them.
        rows: a row for each case and method, as an evaluation has them.
        items: of the test.
    """
    groups = {str(item["case"]): str(item.get(recipe.group, "")) for item in items} if recipe.group else {}
    summary: dict[str, dict[str, Any]] = {}
    for method, own in rows.groupby("method", sort=False):
        parts = [("", own)] if not groups else list(own.groupby(own["case"].map(str).map(groups)))
        summary[str(method)] = {
            column(measure, str(group)): _summary(part, measure, recipe.weight)
            for measure in recipe.measures
            for group, part in parts
        }
    return summary


def column(measure: str, group: str = "") -> str:
    """Name of a measure's column, for a group of cases."""
    return f"{measure}, {group}" if group else measure


def _summary(rows: pd.DataFrame, measure: str, weight: str | None) -> dict[str, Any] | None:
    if measure not in rows:
        return None
    there = rows[rows[measure].map(math.isfinite)]
    if there.empty:
        return None
    values, weights = there[measure], there[weight] if weight else there[measure] * 0 + 1
    mean = float((values * weights).sum() / weights.sum())
    deviation = float(((values - mean) ** 2 * weights).sum() / weights.sum()) ** 0.5
    return {"mean": mean, "sd": deviation, "cases": len(there), "undefined": len(rows) - len(there)}


def markdown(recipe: Recipe, results: Mapping[str, Any]) -> str:
    """The table: runs with their baseline, then published rows, each with its source."""
    found = [summary for run in results["runs"].values() for summary in run["methods"].values()]
    names = {name: None for row in (*found, *(each["measures"] for each in recipe.published)) for name in row}
    head = [f"{name} {_unit(recipe, name)}" for name in names]
    lines = [_line(["method", "cases", *head, "source"]), _line(["---"] * (len(head) + 3))]
    own, of_split = f"`synthesize benchmark {recipe.name}`, {results['version']}", _split(recipe)
    shown: set[str] = set()
    for run, about in results["runs"].items():
        for method, summary in about["methods"].items():
            if method != MODEL and method in shown:
                continue  # baselines are the same for every run
            shown.add(method)
            name = ", ".join([run, *recipe.runs.get(run, {}).get("overlay", [])]) if method == MODEL else method
            changed = ", changed: " + ", ".join(about["changed"]) if about["changed"] else ""
            count = max((each["cases"] for each in summary.values() if each), default=0)
            values = (_value(summary.get(each)) for each in names)
            lines.append(_line([name, f"{count}, {of_split}", *values, own + changed]))
    for each in recipe.published:
        values = (str(each["measures"].get(name, "")) for name in names)
        lines.append(_line([each["method"], each["cases"], *values, each["source"]]))
    notes = [f"- {note}" for note in recipe.notes]
    return "\n".join([f"**{recipe.title}** ({recipe.url}; {recipe.licence})", "", *lines, "", *notes]) + "\n"


def _split(recipe: Recipe) -> str:
    return "our split" if "seed" in recipe.split else "the source's split"


def _unit(recipe: Recipe, name: str) -> str:
    about = recipe.measures.get(name.partition(", ")[0], {})
    return " ".join(part for part in (about.get("unit", ""), ARROWS.get(about.get("better", ""), "")) if part)


def _value(part: Mapping[str, Any] | None) -> str:
    return "not measured" if part is None else f"{part['mean']:.4g} ± {part['sd']:.3g}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
