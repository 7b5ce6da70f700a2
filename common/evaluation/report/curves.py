"""Training curves: one small figure for each loss and validation metric of the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...errors import DataError
from ...files import text_of_cell
from .metric_info import metric_info
from .panels import STYLE, figure_image
from .standalone_page import png_of


@dataclass(frozen=True)
class Curve:
    """One column of the log: name, epochs (N,), finite values (N,), and the best epoch of a known metric."""

    name: str
    epochs: np.ndarray
    values: np.ndarray
    best: int | None


def read_curves(log_csv: Path) -> list[Curve]:
    """Numeric columns of a log with one row per epoch, in order, without the epochs that lack a value.

    Columns of a known metric, such as ``val_mae_HU``, have a best epoch.

    Raises:
        DataError: the log cannot be read or has no column ``epoch``.
    """
    try:
        frame = pd.read_csv(log_csv).rename(columns=text_of_cell)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read training log {log_csv} ({error})", "train first") from error
    if "epoch" not in frame.columns:
        raise DataError(f"training log {log_csv} has no column epoch, only {', '.join(frame.columns)}", "add it")
    epochs, curves = frame.pop("epoch").to_numpy(), []
    for name in frame.columns:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
        kept = np.isfinite(values)
        if kept.any():
            info = metric_info(str(name).removeprefix("val_").replace("/", "_"))
            best = int(epochs[kept][np.argmin(info.badness(values[kept]))])
            curves.append(Curve(str(name), epochs[kept], values[kept], None if info.direction == "unknown" else best))
    return curves


def curve_png(curve: Curve) -> bytes:
    """PNG of a curve, with its best epoch marked."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 2.1), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        marker = "o" if len(curve.epochs) < 3 else None
        axes.plot(curve.epochs, curve.values, color="#1f5a8a", linewidth=1.6, marker=marker, markersize=4)
        if curve.best is not None:
            value = curve.values[curve.epochs == curve.best][0]
            axes.plot([curve.best], [value], "o", color="#b5521b", markersize=6)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92")
        return png_of(figure_image(figure, 110))
