"""Tables of metrics: values per case, means and standard deviations, as files and for the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError
from ...files import as_cell, write_text
from ...metrics.undefined import why_undefined
from .metric_info import MetricInfo, metric_info

Summary = Mapping[str, Mapping[str, Mapping[str, Any]]]
FIRST = (
    "mae", "psnr", "ssim", "noise_hu", "false_structures", "mae_bone", "bone_dice", "vessel_excess", "residual_outside",
    "lesion_error", "nawm_error", "sharpness",
)  # fmt: skip
"""Metrics that come first in the tables."""
SHOWN = 4
"""Number of metrics in the table for the terminal, next to method and n."""
NO_CASE: Mapping[str, Any] = {"mean": math.nan, "std": math.nan, "n": 0}
"""Cell of a metric without a value in any case."""
RANGE_OF_N = "n as a range: not every metric has a value in every case, such as the Dice of bone where there is none"


def metrics_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame: ``case`` and ``method`` as text, then every metric as float, NaN if a row lacks it.

    Raises:
        DataError: no rows, a row without case or method, a value that is not a number, or a case listed twice.
    """
    if not rows:
        raise DataError("no row of metrics", "evaluate at least one case")
    for row in rows:
        if not {"case", "method"} <= row.keys():
            raise DataError(f"a row of metrics has no case or method, only {', '.join(sorted(row))}", "add them")
    frame = pd.DataFrame([dict(row) for row in rows])
    metrics = [name for name in frame.columns if name not in ("case", "method")]
    for name in metrics:
        try:
            frame[name] = pd.to_numeric(frame[name]).astype(float)
        except (TypeError, ValueError) as error:
            raise DataError(f"metric {name} has a value that is not a number ({error})", "remove texts") from error
    frame[["case", "method"]] = frame[["case", "method"]].astype(str)
    twice = frame[frame.duplicated(["case", "method"])]
    if len(twice):
        case, method = twice.iloc[0][["case", "method"]]
        raise DataError(f"case {case} has two rows of method {method}", "evaluate it once")
    return frame[["case", "method", *metrics]]


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float | int]]]:
    """Mean and standard deviation over cases, ``{method: {metric: {"mean", "std", "n"}}}``, in order of appearance.

    Cases without a value (NaN, such as the Dice of bone where there is none) are excluded and not counted in ``n``.
    ``std`` is the sample standard deviation (ddof = 1), by convention 0.0 for n = 1; with n = 0 mean and std are NaN.
    Infinite values, the worst (distance to a lost structure) or the best (PSNR of a perfect case), count: the mean is
    infinite too, std NaN, and ``infinite`` their number. A method lacks the metrics that none of its rows contains.

    Raises:
        DataError: as ``metrics_frame``.
    """
    frame = metrics_frame(rows)
    named = {(str(row["method"]), name) for row in rows for name in row}
    return {
        str(method): {name: moments(group[name].to_numpy()) for name in frame.columns[2:] if (method, name) in named}
        for method, group in frame.groupby("method", sort=False)
    }


def moments(values: np.ndarray) -> dict[str, float | int]:
    """Mean, std (ddof = 1; 0.0 for n = 1) and n of those of ``values`` (N,) that are not NaN, see :func:`summarise`."""
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return dict(NO_CASE)
    if infinite := int(np.isinf(defined).sum()):
        return {"mean": float(defined.sum()), "std": math.nan, "n": int(defined.size), "infinite": infinite}
    std = float(defined.std(ddof=1)) if defined.size > 1 else 0.0
    return {"mean": float(defined.mean()), "std": std, "n": int(defined.size)}


def infinite_cases(cell: Mapping[str, Any], info: MetricInfo) -> str:
    """What stands for the mean in a cell with infinite values, "lost in 1 of 2" or "perfect in 1 of 2"; else empty."""
    if not cell.get("infinite"):
        return ""
    return f"{'perfect' if info.direction == 'higher' else 'lost'} in {cell['infinite']} of {cell['n']}"


def write_tables(folder: Path, rows: Sequence[Mapping[str, Any]], summary: Summary) -> None:
    """Write ``metrics.csv`` (a row per case and method) and ``summary.json`` into ``folder``, each atomically.

    NaN is ``nan`` in the CSV and ``null`` in the JSON. Cells of the summary may hold texts too.

    Raises:
        DataError: as ``metrics_frame``.
        OutputError: a file cannot be written.
    """
    csv = (
        metrics_frame(rows).map(as_cell).rename(columns=as_cell).to_csv(index=False, na_rep="nan", lineterminator="\n")
    )
    write_text(Path(folder) / "metrics.csv", csv)
    write_text(Path(folder) / "summary.json", json.dumps(plain_summary(summary), indent=2, allow_nan=False) + "\n")


def plain_summary(summary: Summary) -> dict[str, dict[str, dict[str, Any]]]:
    """A summary as JSON has it, with None for what is not finite, and ``reason`` where no case has a value."""
    return {
        method: {
            name: {key: _json_value(value) for key, value in _with_reason(cell, name).items()}
            for name, cell in cells.items()
        }
        for method, cells in summary.items()
    }


def _with_reason(cell: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cell if cell["n"] else {**cell, "reason": why_undefined(name)}


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def worse_than_baseline(summary: Summary, methods: Iterable[str], baseline: str, unit: str) -> dict[str, str]:
    """A sentence for each of some methods whose mean absolute error is above that of the baseline.

    Args:
        summary: of all methods.
        methods: names of those to compare.
        baseline: name of a method, such as ``linear_fit``.
        unit: of the target.
    """
    least = summary[baseline].get("mae", NO_CASE)["mean"]
    errors = {method: summary[method].get("mae", NO_CASE)["mean"] for method in methods}
    shown = f"against {number(least)} {unit}"
    return {
        method: f"worse than the {baseline.replace('_', '-')} baseline (MAE {number(error)} {shown})"
        for method, error in errors.items()
        if error > least and number(error) != number(least)
    }


def format_table(summary: Summary) -> str:
    """Plain-text table of the means: a line per method, ``n`` and the first four metrics, four significant digits."""
    names = metric_names(summary)[:SHOWN]
    counts = {
        method: sorted({cells[name]["n"] for name in names if name in cells}) for method, cells in summary.items()
    }
    columns = [["method", *summary]]
    columns += [["n", *("-".join(str(n) for n in {ns[0]: 0, ns[-1]: 0}) if ns else "0" for ns in counts.values())]]
    columns += [[name, *(_text(cells.get(name, NO_CASE), name) for cells in summary.values())] for name in names]
    widths = [max(len(cell) for cell in column) for column in columns]
    several = any(len(found) > 1 for found in counts.values())
    missing = [name for name in names if all(cells.get(name, NO_CASE)["n"] == 0 for cells in summary.values())]
    notes = [RANGE_OF_N] * several + [f"no {name}: {why_undefined(name)}" for name in missing]
    return "\n".join([*_lines(columns, widths), *notes])


def _lines(columns: list[list[str]], widths: list[int]) -> Iterator[str]:
    for first, *others in zip(*columns, strict=True):
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells)


def _text(cell: Mapping[str, Any], name: str) -> str:
    return infinite_cases(cell, metric_info(name)) or number(cell["mean"])


def metric_names(summary: Summary) -> list[str]:
    """Names of the metrics of all methods: the ``FIRST`` of them, then the others in order of appearance."""
    names = dict.fromkeys(name for cells in summary.values() for name in cells)
    return sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def number(value: float, scale: float | None = None) -> str:
    """Text of ``value`` with four significant digits of ``scale`` (default: itself); exponents below 1e-4, from 1e7."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else f"{value}"
    size = abs(value if scale is None else scale)
    if size == 0:
        return f"{value:.4g}"
    if not 1e-4 <= size < 1e7:
        return f"{value:.3e}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(size)))}f}"
