"""Tables of scores on the terminal, and as a page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from monai.bundle import ConfigParser

from common.report import Panel, Report, summarise, write_report
from tools.real.rows import COLUMNS, Z_RANGE, Row

UNIT = "z-score"
NOTES = (
    "Trained on simulated heads; no patient was seen, but by the rows that say so.",
    "Every row is fitted to the truth by one line a case. Not for clinical use.",
)


def text(title: str, rows: Sequence[Row]) -> str:
    """A line a method: means over the cases, and the MAE of each case."""
    frame = pd.DataFrame([{"case": row.case, "row": row.method, **row.scores} for row in rows])
    means = frame.groupby("row", sort=False)[list(COLUMNS)].mean()
    each = frame.pivot(index="row", columns="case", values="mae").loc[means.index].add_prefix("mae of ")
    return f"\n{title}\n{means.join(each).round(3).to_string()}"


def page(path: Path, title: str, bundle: Path, rows: Sequence[Row]) -> Path:
    """The same with a picture of every row: source, image, truth and their difference."""
    scored = [{"case": row.case, "method": row.method, **row.scores} for row in rows]
    metadata = ConfigParser.load_config_file(bundle / "configs" / "metadata.json")
    report = Report(
        title=title,
        bundle=bundle.name,
        version=metadata["version"],
        unit=UNIT,
        value_range=Z_RANGE,
        mask_description="head, from the source",
        rows=scored,
        summary=summarise(scored),
        panels=[panel(row) for row in rows],
        notes=NOTES,
        reference="pretrained",
    )
    write_report(path, report)
    return path


def panel(row: Row) -> Panel:
    """The picture of a row."""
    shared = {name: getattr(row, name) for name in ("case", "method", "source", "truth", "mask", "spacing")}
    return Panel(**shared, synthetic=row.image, source_unit="as stored", unit=UNIT, window=(-2.5, 4.0))
