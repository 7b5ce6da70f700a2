"""Three verdicts of a case: ``accept``, ``look`` and ``refuse``, with reasons in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ...io.export.verdicts import ACCEPT, LOOK, REFUSE
from .predictor import Predictor
from .signs import LEAST

CHANCE = {LOOK: 0.1, REFUSE: 0.01}
"""[chosen] Probability that any sign of an intact case from the calibrated distribution lies beyond its limit."""
SHOWN = 4
"""How many signs the reasons name, the furthest first."""


class Usual(NamedTuple):
    """Mean and standard deviation of a sign over intact held-out cases, the latter at least that of its kind."""

    mean: float
    deviation: float


class Limits(NamedTuple):
    """Limits of the verdicts.

    ``mae`` and ``deviations`` by ``look`` and ``refuse``: of the predicted error in the unit, and of a sign from its
    mean in standard deviations. ``usual`` by the name of the sign.
    """

    mae: dict[str, float]
    deviations: dict[str, float]
    usual: dict[str, Usual]


class Verdict(NamedTuple):
    """The verdict of a case: predicted mean absolute error and its upper bound in ``unit``; nan where signs fail."""

    verdict: str
    predicted: float
    upper: float
    unit: str
    reasons: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """For manifest and sidecar, without the errors of a refused case: nothing is known of an unlike source."""
        predicted = {} if self.verdict == REFUSE else {"predicted_mae": self.predicted, "upper_mae": self.upper}
        return {
            "verdict": self.verdict,
            **{name: round(value, 4) for name, value in predicted.items()},
            "unit": self.unit,
            "reasons": list(self.reasons),
        }


def without_signs(reason: str, unit: str) -> Verdict:
    """The verdict of a case whose signs cannot be computed."""
    return Verdict(REFUSE, math.nan, math.nan, unit, (reason,))


def usual_of(signs: Sequence[Mapping[str, float]]) -> dict[str, Usual]:
    """Mean and deviation of each sign over intact cases."""
    found = {}
    for name in signs[0]:
        values = [case[name] for case in signs]
        least = next(least for kind, least in LEAST.items() if name.startswith(kind))
        found[name] = Usual(float(np.mean(values)), max(float(np.std(values, ddof=1)), least))
    return found


def allowed_deviations(cases: int, signs: int) -> dict[str, float]:
    """Half width, in standard deviations, of the interval in which all signs of a new case lie but for ``CHANCE``.

    Student's prediction interval of one more normal observation, shared out over the signs (Bonferroni).

    Args:
        cases: from which mean and deviation are known, two at least.
        signs: number of them.
    """
    wider = math.sqrt(1 + 1 / cases)
    return {
        verdict: float(stats.t.ppf(1 - chance / (2 * signs), cases - 1)) * wider for verdict, chance in CHANCE.items()
    }


def judged(signs: Mapping[str, float], predictor: Predictor, limits: Limits, unit: str) -> Verdict:
    """The verdict of a case by its signs.

    ``refuse``: the predicted error, or a sign, is beyond the limit of that name. ``look``: one is beyond the limit of
    ``look``, or the upper bound of the error is beyond that of ``refuse``. A sign that is no number is refused, since
    no limit would hold it.
    """
    if missing := [name for name in limits.usual if name not in signs]:
        return without_signs(f"{missing[0]}, which the grading knows, is not computed by this postprocessing", unit)
    if broken := [name for name, value in signs.items() if not math.isfinite(value)]:
        return without_signs(f"{broken[0]} is no number", unit)
    predicted = predictor(signs)
    upper = predicted * predictor.upper_factor
    far = sorted(
        ((abs(signs[name] - usual.mean) / usual.deviation, name) for name, usual in limits.usual.items()), reverse=True
    )
    beyond = {verdict: [name for size, name in far if size > limits.deviations[verdict]] for verdict in (LOOK, REFUSE)}
    reasons = []
    if predicted > limits.mae[REFUSE]:
        reasons.append(f"predicted MAE above {limits.mae[REFUSE]:.4g} {unit}, the limit of refuse")
    refused = bool(reasons or beyond[REFUSE])
    if not refused and predicted > limits.mae[LOOK]:
        reasons.append(f"predicted MAE {predicted:.4g} {unit}, limit of look {limits.mae[LOOK]:.4g}")
    elif not refused and upper > limits.mae[REFUSE]:
        reasons.append(f"MAE of up to {upper:.4g} {unit} not excluded, limit of refuse {limits.mae[REFUSE]:.4g}")
    reasons += [_told(name, signs[name], limits) for name in beyond[LOOK][:SHOWN]]
    left = len(beyond[LOOK]) - SHOWN
    reasons += [f"{left} more unusual signs"] if left > 0 else []
    verdict = REFUSE if refused else LOOK if reasons else ACCEPT
    return Verdict(verdict, predicted, upper, unit, tuple(reasons))


def _told(name: str, value: float, limits: Limits) -> str:
    usual = limits.usual[name]
    room = limits.deviations[LOOK] * usual.deviation
    return f"{name} {value:.3g}, usual {usual.mean - room:.3g} to {usual.mean + room:.3g}"
