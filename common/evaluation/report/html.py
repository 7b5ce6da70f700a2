"""HTML page of a report: one self-contained file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ...files import write_text
from .contents import Report
from .curves import curve_png, read_curves
from .figures import common_limit, shown_cases
from .metric_info import metric_info
from .page_tables import (
    SHOWN,
    comparison_rows,
    flattened,
    group_cells,
    headings,
    per_case,
    summary_cells,
    too_few_cases,
)
from .ranking import ranked
from .significance import compare
from .standalone_page import as_it_is, embedded, template
from .tables import number
from .viewer import viewer_data

logger = logging.getLogger(__name__)
FOLDER = Path(__file__).parent
MAX_BYTES = 5_000_000
"""Size of the page: it can be sent by mail, and a browser shows it at once."""
FIGURES_SHARE = 0.25
"""Part of the space left by tables and curves that static figures take; the viewer's volumes take the rest."""


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file under 5 MB with all images, without external resources.

    Static figures are seen without JavaScript; with it, a viewer of the same cases. Figures and voxels are as fine as
    the size allows.

    Raises:
        DataError: a row lacks case or method, or the training log cannot be read.
        OutputError: the file cannot be written.
    """
    layout = template(FOLDER / "template.html.j2")
    ranking = ranked(report.rows, report.reference)
    comparisons = compare(report.rows, report.reference)
    contents: dict[str, Any] = {
        "report": report,
        "style": as_it_is(FOLDER / "page.css"),
        "scripts": [as_it_is(FOLDER / name) for name in ("slices.js", "viewer.js")],
        "range_text": " to ".join(map(number, report.value_range)) if report.value_range else "own of each case,",
        "headings": headings(report),
        "first": SHOWN,
        "summary": summary_cells(report),
        "groups": group_cells(report),
        "ranking": ranking,
        "cases": per_case(report, ranking),
        "comparisons": comparison_rows(report, comparisons),
        "too_few": too_few_cases(comparisons),
        "pictures": [{"about": one, "png": embedded(one.png)} for one in report.pictures],
        "errors": None if report.errors is None else {"about": report.errors, "png": embedded(report.errors.png)},
        "curves": [
            {"name": curve.name, "best": curve.best, "epochs": len(curve.epochs), "png": embedded(curve_png(curve))}
            for curve in (read_curves(Path(report.log_csv)) if report.log_csv else [])
        ],
        "settings": flattened(report.settings),
        "truth": not report.panels or any(panel.truth is not None for panel in report.panels),
        "order_name": metric_info(ranking.metric).name if ranking.metric else "",
        "shown": [],
        "left_out": 0,
        "viewer": "",
    }

    def page(**images: Any) -> str:
        return layout.render(contents | images)

    limit = common_limit(report)
    shown = shown_cases(report, ranking, limit, int(FIGURES_SHARE * (MAX_BYTES - _size(page()))))
    contents |= {"shown": shown, "left_out": len({panel.case for panel in report.panels}) - len(shown)}
    whole = page(viewer=Markup(viewer_data(shown, limit, MAX_BYTES - _size(page()))))
    if _size(whole) > MAX_BYTES:
        sizes = f"{_size(whole) / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g} MB"
        logger.warning(f"{path} has {sizes}, because of its tables and images")
    write_text(Path(path), whole)


def _size(page: str) -> int:
    return len(page.encode("utf-8"))
