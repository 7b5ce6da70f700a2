"""Durations in words."""

from __future__ import annotations

DAY = 24 * 60
"""In minutes."""


def spoken(minutes: float) -> str:
    """A duration in the two units that say most of it: ``1 min``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = max(1, round(minutes))
    if whole < 60:
        return f"{whole} min"
    if whole < DAY:
        return f"{whole // 60} h {whole % 60} min"
    hours = round(whole / 60)
    return f"{hours // 24} d {hours % 24} h"
