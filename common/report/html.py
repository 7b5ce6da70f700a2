"""HTML page of a report: one self-contained file."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common.files import write_text
from common.report.contents import Panel, Report
from common.report.curves import curve_png, read_curves
from common.report.metric_info import MetricInfo, metric_info
from common.report.panels import panel_png
from common.report.planes import difference_limit
from common.report.significance import compare
from common.report.tables import metric_names, metrics_frame, number


@dataclass(frozen=True)
class Heading:
    """Column heading of a metric: name, arrow, unit, and the arrow in words."""

    name: str
    arrow: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class TableCell:
    """Cell of the summary table: mean, standard deviation, number of cases, and whether it is the column's best."""

    mean: str
    std: str
    n: int
    best: bool


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file with embedded images, without scripts or external resources.

    Raises:
        DataError: a row lacks case or method, or the training log cannot be read.
        OutputError: the file cannot be written.
    """
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("template.html.j2").render(
        report=report,
        range_text=f"{number(report.value_range[0])} to {number(report.value_range[1])}",
        headings=[_heading(name, report) for name in metric_names(report.summary)],
        summary=summary_cells(report),
        cases=per_case(report),
        comparisons=comparison_rows(report),
        figures=figures(report),
        pictures=[{"about": picture, "png": _embedded(picture.png)} for picture in report.pictures],
        curves=[
            {"name": curve.name, "best": curve.best, "epochs": len(curve.epochs), "png": _embedded(curve_png(curve))}
            for curve in (read_curves(Path(report.log_csv), report.metrics) if report.log_csv else [])
        ],
        settings=flattened(report.settings),
    )
    write_text(Path(path), page)


def _heading(name: str, report: Report) -> Heading:
    info = metric_info(name, report.metrics)
    return Heading(name, info.arrow, info.unit.replace("{unit}", report.unit), info.meaning)


def summary_cells(report: Report) -> dict[str, list[TableCell]]:
    """Summary table: per method one cell for each metric (n = 0 if it lacks the metric), with the best means marked."""
    table: dict[str, list[TableCell]] = {method: [] for method in report.summary}
    for name in metric_names(report.summary):
        found = {method: cells[name] for method, cells in report.summary.items() if name in cells}
        means = {method: math.nan if cell["mean"] is None else cell["mean"] for method, cell in found.items()}
        best = _best(means, metric_info(name, report.metrics))
        for method in table:
            cell = found.get(method, {"n": 0})
            table[method].append(_cell(means.get(method, math.nan), cell, method in best))
    return table


def _cell(mean: float, cell: Mapping[str, Any], best: bool) -> TableCell:
    if cell["n"] < 2:
        return TableCell(number(mean), "", cell["n"], best)
    scale = max(abs(mean), cell["std"])
    return TableCell(number(mean, scale), number(cell["std"], scale), cell["n"], best)


def _best(means: Mapping[str, float], info: MetricInfo) -> set[str]:
    costs = {method: float(info.badness(np.asarray(mean))) for method, mean in means.items() if math.isfinite(mean)}
    if info.direction == "unknown" or len(costs) < 2:
        return set()
    return {method for method, cost in costs.items() if cost == min(costs.values())}


def per_case(report: Report) -> list[dict[str, Any]]:
    """Table of cases: case, method and formatted metrics of each row, grouped by case; ``span`` as in ``_spans``."""
    frame, names = metrics_frame(report.rows), metric_names(report.summary)
    order = {case: place for place, case in enumerate(frame["case"].unique())}
    frame = frame.iloc[np.argsort(frame["case"].map(order).to_numpy(), kind="stable")]
    texts = [[number(value) for value in row] for row in frame.reindex(columns=names).to_numpy()]
    keys = zip(frame["case"], frame["method"], texts, strict=True)
    return _spans([{"case": case, "method": method, "values": values} for case, method, values in keys], "case")


def comparison_rows(report: Report) -> list[dict[str, Any]]:
    """Table of the paired tests with formatted numbers; ``span`` as in ``_spans``."""
    rows = []
    for test in compare(report.rows, report.reference, report.metrics):
        info = metric_info(test.metric, report.metrics)
        distance = f"|{test.metric} − {info.ideal:g}|" if info.ideal else f"|{test.metric}|"
        name = distance if info.direction == "ideal" else test.metric
        texts = {"p": _p_text(test.p), "p_holm": _p_text(test.p_holm), "difference": _signed(test.difference)}
        unit = info.unit.replace("{unit}", report.unit)
        rows.append({"metric": name, "unit": unit, "other": test.other, "n": test.n, "verdict": test.verdict, **texts})
    return _spans(rows, "metric")


def _spans(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows with ``span`` (the HTML rowspan): their number for the first of those equal in ``key``, 0 for the others."""
    counts = Counter(row[key] for row in rows)
    return [{**row, "span": counts.pop(row[key], 0)} for row in rows]


def _p_text(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value).replace("-", "−")


def figures(report: Report) -> list[dict[str, Any]]:
    """Embedded panels of each case, with one colour range of the difference for all methods of a case.

    The range is that of the reference method, so that a poor baseline does not widen it; without one, the widest.
    """
    cases: dict[str, list[Panel]] = {}
    for panel in report.panels:
        cases.setdefault(panel.case, []).append(panel)
    found = []
    for case, panels in cases.items():
        limits = {panel.method: difference_limit(panel) for panel in panels if panel.truth is not None}
        limit = limits.get(report.reference, max(limits.values(), default=None))
        pictures = [
            {
                "method": panel.method,
                "truth": panel.truth is not None,
                "columns": 2 + 2 * (panel.truth is not None) + len(panel.extras),
                "png": _embedded(panel_png(panel, limit)),
            }
            for panel in panels
        ]
        found.append({"case": case, "pictures": pictures})
    return found


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as a flat table of dotted names and formatted values."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat
