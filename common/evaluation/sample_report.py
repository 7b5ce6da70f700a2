"""Tables and page of an evaluation of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..config.record import RunRecord, config_of
from ..training.handlers import LOG_NAME
from .report import Picture, Report, format_table, summarise, write_report, write_tables
from .report.standalone_page import png_of


def report_samples(
    output_dir: str, bundle: str, line: str, rows: Sequence[Mapping[str, Any]], verdicts: Sequence[str],
    record: RunRecord | None, notes: Sequence[str], **shown: Any,
) -> dict[str, Any]:  # fmt: skip
    """Write ``metrics.csv``, ``summary.json`` and ``report.html``, print the table, return the summary.

    Args:
        output_dir: of the run; receives ``evaluation/``.
        bundle: name and version.
        line: above the printed table.
        rows: a mapping for each case and method.
        verdicts: on the samples of each model.
        record: of the command, whose settings the page lists.
        notes: of the page, before the verdicts.
        **shown: the page's title, unit, range, mask and pictures, see :class:`common.evaluation.report.Report`.
    """
    folder, log, summary = Path(output_dir, "evaluation"), Path(output_dir, LOG_NAME), summarise(rows)
    name, _, version = bundle.partition(" ")
    write_tables(folder, rows, summary)
    report = Report(
        bundle=name,
        version=version,
        rows=rows,
        summary=summary,
        log_csv=log if log.is_file() else None,
        settings={key: value for key, value in config_of(record).items() if not isinstance(value, dict)},
        notes=[*notes, *verdicts],
        **shown,
    )
    write_report(folder / "report.html", report)
    print("\n" + "\n".join([line, format_table(summary), *verdicts, f"report: {folder / 'report.html'}"]))
    return dict(summary)


def as_picture(title: str, image: Image.Image, caption: str) -> Picture:
    """An image as a picture of the page."""
    return Picture(title, png_of(image), caption)
