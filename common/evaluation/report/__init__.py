"""Evaluation report: `metrics.csv`, `summary.json`, a table for the terminal and an HTML page."""

from .contents import ExtraImage, Panel, Picture, Report, plain_settings
from .groups import by_group, write_groups
from .html import write_report
from .metric_info import metric_info
from .tables import format_table, summarise, worse_than_baseline, write_tables

__all__ = [
    "ExtraImage",
    "Panel",
    "Picture",
    "Report",
    "by_group",
    "format_table",
    "metric_info",
    "plain_settings",
    "summarise",
    "worse_than_baseline",
    "write_groups",
    "write_report",
    "write_tables",
]
