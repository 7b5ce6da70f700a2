"""Verdicts on the quality of a case, by key and in words, for those who write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUALITY = "quality"
"""Key of a case's verdict in the manifest, and in an item that is exported."""
ACCEPT, LOOK, REFUSE = VERDICTS = ("accept", "look", "refuse")


def in_words(told: Mapping[str, Any]) -> str:
    """A line about the ``told`` of a :class:`common.quality.verdict.Verdict`."""
    if told["predicted_mae"] is None:
        predicted = "no predicted MAE"
    else:
        upper = f"90 % of calibration samples up to {told['upper_mae']:.4g}"
        predicted = f"predicted MAE {told['predicted_mae']:.4g} {told['unit']} ({upper})"
    return "; ".join([f"quality: {told['verdict']}, {predicted}", *told["reasons"]])
