"""Rule of intensities: a window to which the bundle clips is widened to the percentiles of the foreground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..transforms import ScaleWindowd
from ..units import HU
from .fingerprint import PERCENTILES, CaseProperties, Range
from .recipe import Recipe, Setting

DIGITS = 3
"""Significant digits of a moved end."""


def windows(recipe: Recipe, cases: Sequence[CaseProperties]) -> list[Setting]:
    """Settings of the windows to which the bundle clips; those that are given are kept."""
    scaling = [each for each in recipe.preprocessing().transforms if isinstance(each, ScaleWindowd) and each.clip]
    clipped = {key for each in scaling for key in each.keys}
    sources = [list(each) for each in zip(*(case.sources for case in cases if case.sources), strict=True)]
    targets = [[case.target for case in cases if case.target is not None]]
    settings = []
    for key, name, channels in (("image", "source_window", sources), ("label", "target_window", targets)):
        own = recipe.value(name)
        if own is None or name in recipe.given or key not in clipped:
            continue
        is_single = not isinstance(own[0], list | tuple)
        keeps_low = key == "label" and recipe.value("output::unit") == HU  # air below is restored at export
        each_own = [own] * len(channels) if is_single else own
        chosen = [widened(each, window, keeps_low) for each, window in zip(channels, each_own, strict=True)]
        measured = ", ".join("{:.3g} to {:.3g}".format(*np.mean(each, axis=0)) for each in channels)
        value = chosen[0] if is_single else chosen
        ends = f"the foreground's percentiles {PERCENTILES[0]} and {PERCENTILES[1]} are {measured}"
        settings.append(Setting(name, value, f"{'kept' if value == own else 'widened'}: {ends}"))
    return settings


def widened(ranges: Sequence[Range], window: Sequence[float], keeps_low: bool = False) -> list[float]:
    """A window that reaches to the means of the percentiles of some cases.

    Args:
        ranges: of one channel in all cases.
        window: low and high, in the unit of the images.
        keeps_low: whether the low end stays.
    """
    low, high = (float(f"{end:.{DIGITS}g}") for end in np.mean(ranges, axis=0))
    ends = (window[0] if keeps_low else min(window[0], low), max(window[1], high))
    return [int(end) if float(end).is_integer() else end for end in ends]
