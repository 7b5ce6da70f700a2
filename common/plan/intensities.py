"""Rules of intensities: windows are kept unless the data exceed them, percentiles follow the share of foreground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..config.checks import HU
from ..errors import DataError
from .fingerprint import Case, Values
from .recipe import Recipe, Setting

OUTSIDE = 0.01
"""Share of the foreground beyond an end of a window above which it is moved."""
ANOTHER_UNIT = 0.5
"""Share outside above which the values are taken for those of another unit."""
CLIPPED = 0.5
"""Percent of the foreground that the upper percentile of a source is to clip."""
DIGITS = 2
"""Significant digits of a moved end, rounded outwards."""


class Choice(NamedTuple):
    """A value and the measured reason for it."""

    value: list[float]
    reason: str


def planned(recipe: Recipe, cases: Sequence[Case]) -> list[Setting]:
    """Settings of what the bundle scales and clips; z-scores have none, and what is not clipped needs none.

    Raises:
        DataError: as :func:`window_of`.
    """
    sources = [case.sources for case in cases if case.sources]
    targets = [case.target for case in cases if case.target is not None]
    found = []
    if clips(recipe, "image") and (own := recipe.value("source_window")):
        is_single = not isinstance(own[0], list | tuple)
        channels: list[list[Values]] = [list(each) for each in zip(*sources, strict=True)]
        chosen = [
            window_of("source_window", values, window)
            for values, window in zip(channels, [own] * len(channels) if is_single else own, strict=True)
        ]
        value: Any = chosen[0].value if is_single else [each.value for each in chosen]
        worst = max(chosen, key=lambda each: (each.reason.startswith("widened"), each.reason))
        found.append(Setting("source_window", value, _reason_of(chosen, worst.reason)))
    if recipe.value("source_percentiles"):
        choice = percentiles_of([each[0] for each in sources], recipe.value("source_percentiles"))
        found.append(Setting("source_percentiles", choice.value, choice.reason))
    if clips(recipe, "label") and (own := recipe.value("target_window")):
        if recipe.has_other_unit:
            choice = whole_window(targets)
        else:
            choice = window_of("target_window", targets, own, recipe.value("output::unit") == HU)
        found.append(Setting("target_window", choice.value, choice.reason))
    return [each for each in found if each.name not in recipe.given]


def clips(recipe: Recipe, key: str) -> bool:
    """Whether the bundle's preprocessing clips an image to its window."""
    for each in recipe.value("preprocessing::transforms") or []:
        keys = each.get("keys", [])
        if str(each.get("_target_", "")).endswith("ScaleWindowd") and key in (
            [keys] if isinstance(keys, str) else keys
        ):
            return bool(each.get("clip", True))
    return False


def _reason_of(chosen: Sequence[Choice], worst: str) -> str:
    return worst if len(chosen) == 1 else f"of {len(chosen)}: {worst}"


def window_of(name: str, values: Sequence[Values], window: Sequence[float], keeps_low: bool = False) -> Choice:
    """The window, each end moved to the 0.5 or 99.5 percentile of the foreground if over 1 % of it lies beyond.

    Args:
        name: of the setting, for messages.
        values: of one channel in all cases.
        window: low and high, in the unit of the images.
        keeps_low: whether the low end stays, since air below it is restored at export.

    Raises:
        DataError: if most of the foreground lies outside: then the images have another unit.
    """
    below, above = (float(np.mean([getattr(each, side) for each in values])) for side in ("below", "above"))
    if max(below, above) > ANOTHER_UNIT:
        rule = f"holds most of the foreground in {list(window)}"
        found = f"{max(below, above):.0%} outside, median {np.median([each.percentiles[1] for each in values]):.4g}"
        raise DataError(f"--{name}", rule, found, f"convert the images to its unit, or give --{name}")
    low, high = float(window[0]), float(window[1])
    if below > OUTSIDE and not keeps_low:
        low = min(low, outwards(min(each.percentiles[0] for each in values), -1))
    if above > OUTSIDE:
        high = max(high, outwards(max(each.percentiles[2] for each in values), 1))
    is_kept = (low, high) == (window[0], window[1])
    outside = f"{below:.2%} of the foreground lies below it, {above:.2%} above"
    return Choice([_plain(low), _plain(high)], f"{'kept' if is_kept else 'widened'}: {outside}")


def whole_window(values: Sequence[Values]) -> Choice:
    """The window of a target in a unit that is given: the 0.5 to 99.5 percentiles of all foregrounds, and 0."""
    low, high = min(each.percentiles[0] for each in values), max(each.percentiles[2] for each in values)
    window = [_plain(outwards(min(0.0, low), -1)), _plain(outwards(high, 1))]
    return Choice(window, f"0.5 and 99.5 percentiles of the foreground {low:.4g} to {high:.4g}, and 0")


def percentiles_of(values: Sequence[Values], own: Sequence[float]) -> Choice:
    """The source's percentiles, the upper one so that it clips 0.5 % of the foreground, where it clips over 1 %.

    They are taken of all voxels above the minimum, noise in the air too: of a foreground that is a share f of these,
    the percentile 100 - p clips p / f percent.
    """
    above, share = (float(np.mean([getattr(each, name) for each in values])) for name in ("above", "share"))
    clipped = f"{own[1]:g} clips {above:.2%} of the foreground"
    if above <= OUTSIDE:
        return Choice([_plain(each) for each in own], f"kept: {clipped}")
    high = max(own[1], round(100 - CLIPPED * share, 2))
    return Choice([_plain(own[0]), _plain(high)], f"{clipped}, which is {share:.0%} of the voxels above the minimum")


def outwards(value: float, direction: int) -> float:
    """A number rounded up (1) or down (-1) to ``DIGITS`` significant digits."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1)
    steps = round(value / unit, 6)
    return float(f"{(math.ceil(steps) if direction > 0 else math.floor(steps)) * unit:.{DIGITS + 1}g}")


def _plain(value: float) -> float:
    """A whole number without a point, as configs write it."""
    return int(value) if float(value).is_integer() else float(value)
