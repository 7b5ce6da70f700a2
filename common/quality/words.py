"""A verdict in words, for those who write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ACCEPT, LOOK, REFUSE = VERDICTS = ("accept", "look", "refuse")


def in_words(told: Mapping[str, Any]) -> str:
    """A line about :meth:`common.quality.verdict.Verdict.told`."""
    if told["predicted_mae"] is None:
        predicted = "no predicted MAE"
    else:
        upper = f"90 % of calibration samples up to {told['upper_mae']:.4g}"
        predicted = f"predicted MAE {told['predicted_mae']:.4g} {told['unit']} ({upper})"
    return "; ".join([f"quality: {told['verdict']}, {predicted}", *told["reasons"]])
