"""Cases shown on a page, with their static figures: what is seen without JavaScript, and at full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .contents import Panel, Report
from .metric_info import metric_info
from .panels import panel_png
from .planes import difference_limit
from .ranking import LargestError, Ranking, largest_error
from .standalone_page import embedded
from .tables import number

LARGEST, SMALLEST = 120_000, 30_000
"""Bytes of a figure's PNG: at most, and what is aimed at where there are many."""
PER_BYTE = 4 / 3
"""Characters of the page for each embedded byte."""


@dataclass(frozen=True)
class ShownCase:
    """Case with images.

    Args:
        name: of the case.
        role: ``worst``, ``median``, ``best`` or empty.
        score: the metric that orders the cases, as text; empty without one.
        panels: its volumes, those of the reference method first.
        error: place of the reference method's largest error.
        warnings: about its input.
        pictures: static figures, one for each panel.
    """

    name: str
    role: str
    score: str
    panels: list[Panel]
    error: LargestError | None
    warnings: Sequence[str]
    pictures: list[dict[str, Any]]

    @property
    def error_text(self) -> str:
        """Size and place of the largest error; empty without one."""
        if self.error is None:
            return ""
        return f"Largest error {number(self.error.size)} {self.panels[0].unit}, {self.error.text}"


def shown_cases(report: Report, ranking: Ranking, limit: float | None, budget: int) -> list[ShownCase]:
    """Cases with panels, worst first; those whose figures exceed the budget are skipped.

    Args:
        report: the contents.
        ranking: of its cases.
        limit: colour range [-limit, limit] of the difference, in all cases.
        budget: characters of the page for all figures.
    """
    panels: dict[str, list[Panel]] = {}
    for panel in sorted(report.panels, key=lambda panel: panel.method != report.reference):
        panels.setdefault(panel.case, []).append(panel)
    aim = min(LARGEST, max(SMALLEST, int(budget / PER_BYTE / max(1, len(report.panels)))))
    found: dict[str, ShownCase] = {}
    for case in ranking.shown(list(panels), len(panels)):
        pictures = [_picture(panel, limit, aim) for panel in panels[case]]
        budget -= sum(len(picture["png"]) for picture in pictures)
        if found and budget < 0:
            break
        score = _score(report, ranking, case)
        error, warnings = largest_error(panels[case][0]), report.warnings.get(case, ())
        found[case] = ShownCase(case, ranking.roles.get(case, ""), score, panels[case], error, warnings, pictures)
    order = [*ranking.cases, *(case for case in panels if case not in ranking.cases)]
    return [found[case] for case in order if case in found]


def common_limit(report: Report) -> float | None:
    """Colour range [-limit, limit] of the difference in all cases; None without a truth.

    It is the widest of the reference method, so that a poor baseline does not widen it; without one, of all methods.
    """
    limits = [(panel.method, difference_limit(panel)) for panel in report.panels if panel.truth is not None]
    own = [limit for method, limit in limits if method == report.reference]
    return max(own or [limit for _, limit in limits], default=None)


def _picture(panel: Panel, limit: float | None, max_bytes: int) -> dict[str, Any]:
    return {
        "method": panel.method,
        "truth": panel.truth is not None,
        "columns": 2 + 2 * (panel.truth is not None) + len(panel.extras),
        "png": embedded(panel_png(panel, limit, max_bytes)),
    }


def _score(report: Report, ranking: Ranking, case: str) -> str:
    if ranking.metric is None:
        return ""
    info = metric_info(ranking.metric)
    rows = (row for row in report.rows if str(row["case"]) == case and row["method"] == report.reference)
    values: list[Mapping[str, Any]] = [row for row in rows if ranking.metric in row]
    return f"{info.name} {number(values[0][ranking.metric])} {info.in_unit(report.unit)}".rstrip() if values else ""
