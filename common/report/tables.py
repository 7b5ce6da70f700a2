"""Tables of metrics: values per case, means and standard deviations, as files and for the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import DataError
from common.files import write_text

Summary = Mapping[str, Mapping[str, Mapping[str, Any]]]
TERMINAL_WIDTH = 100
RANGE_OF_N = "n as a range: not every metric has a value in every case, such as the Dice of bone where there is none"


def metrics_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame: ``case`` and ``method`` as text, then every metric as float, NaN if a row lacks it.

    Raises:
        DataError: no rows, a row without case or method, a value that is not a number, or a case listed twice.
    """
    if not rows:
        raise DataError("metrics", "there must be at least one row", "none", "evaluate at least one case")
    for row in rows:
        if not {"case", "method"} <= row.keys():
            raise DataError("metrics", "each row needs case and method", sorted(row), "add them")
    frame = pd.DataFrame([dict(row) for row in rows])
    metrics = [name for name in frame.columns if name not in ("case", "method")]
    for name in metrics:
        try:
            frame[name] = pd.to_numeric(frame[name]).astype(float)
        except (TypeError, ValueError) as error:
            raise DataError(f"metric {name}", "each value must be a number", error, "leave texts out") from error
    frame[["case", "method"]] = frame[["case", "method"]].astype(str)
    twice = frame[frame.duplicated(["case", "method"])]
    if len(twice):
        case, method = twice.iloc[0][["case", "method"]]
        raise DataError(f"case {case}", "it must have one row a method", f"two of {method}", "evaluate it once")
    return frame[["case", "method", *metrics]]


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float | int]]]:
    """Mean and standard deviation over cases, ``{method: {metric: {"mean", "std", "n"}}}``, in order of appearance.

    Values that are not finite (NaN, or the infinite PSNR of a perfect case) are excluded and not counted in ``n``.
    ``std`` is the sample standard deviation (ddof = 1), by convention 0.0 for n = 1; with n = 0 mean and std are NaN.
    A method lacks the metrics that none of its rows contains.

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
    """Mean, std (ddof = 1; 0.0 for n = 1) and n of the finite among ``values`` (N,)."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return {"mean": math.nan, "std": math.nan, "n": 0}
    std = float(finite.std(ddof=1)) if finite.size > 1 else 0.0
    return {"mean": float(finite.mean()), "std": std, "n": int(finite.size)}


def write_tables(folder: Path, rows: Sequence[Mapping[str, Any]], summary: Summary) -> None:
    """Write ``metrics.csv`` (a row per case and method) and ``summary.json`` into ``folder``, each atomically.

    NaN is ``nan`` in the CSV and ``null`` in the JSON.

    Raises:
        DataError: as ``metrics_frame``.
        OutputError: a file cannot be written.
    """
    csv = metrics_frame(rows).to_csv(index=False, na_rep="nan", lineterminator="\n")
    plain = {
        method: {name: {key: _json_number(value) for key, value in cell.items()} for name, cell in cells.items()}
        for method, cells in summary.items()
    }
    write_text(Path(folder) / "metrics.csv", csv)
    write_text(Path(folder) / "summary.json", json.dumps(plain, indent=2, allow_nan=False) + "\n")


def _json_number(value: Any) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None


def format_table(summary: Summary) -> str:
    """Plain-text table of the means: a line per method, ``n`` and the metrics as columns, four significant digits.

    Columns beyond 100 characters go into further blocks below.
    """
    names = metric_names(summary)
    counts = {method: sorted({cell["n"] for cell in cells.values()}) for method, cells in summary.items()}
    columns = [["method", *summary]]
    columns += [["n", *("-".join(str(n) for n in {ns[0]: 0, ns[-1]: 0}) if ns else "0" for ns in counts.values())]]
    columns += [[name, *(number(_mean(cells, name)) for cells in summary.values())] for name in names]
    widths = [max(len(cell) for cell in column) for column in columns]

    blocks: list[list[int]] = [[0, 1]]
    for index in range(2, len(columns)):
        if sum(widths[i] + 2 for i in [*blocks[-1], index]) > TERMINAL_WIDTH and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(index)
    table = "\n\n".join(_block([columns[i] for i in block], [widths[i] for i in block]) for block in blocks)
    several = any(len(found) > 1 for found in counts.values())
    return f"{table}\n{RANGE_OF_N}" if several else table


def _block(columns: list[list[str]], widths: list[int]) -> str:
    lines = []
    for first, *others in zip(*columns, strict=True):
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _mean(cells: Mapping[str, Mapping[str, Any]], name: str) -> float:
    mean = cells[name]["mean"] if name in cells else None
    return math.nan if mean is None else mean


def metric_names(summary: Summary) -> list[str]:
    """Names of the metrics of all methods, in order of appearance."""
    return list(dict.fromkeys(name for cells in summary.values() for name in cells))


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
