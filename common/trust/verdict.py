"""Three verdicts of a case: ``accept``, ``review`` and ``refuse``, with reasons in words.

A case is refused where a feature lies further from the calibration cases than one in a hundred of these would have any
feature. The error of a case is not predicted: among cases like those of the calibration no feature ranks it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ..io.export.verdicts import ACCEPT, REFUSE, REVIEW
from .input_check import UNSUITED
from .words import KINDS, in_words, kind_of

CHANCE = {REVIEW: 0.1, REFUSE: 0.01}
"""[chosen] Probability that any feature of a case from the calibrated distribution lies beyond its limit."""
SHOWN = 4
"""How many kinds of features the reasons name, the furthest first."""


class Usual(NamedTuple):
    """Mean and standard deviation of a feature over calibration cases, the latter at least that of its kind."""

    mean: float
    deviation: float


class VerdictLimits(NamedTuple):
    """What calibration cases have.

    Attributes:
        features: by name.
        deviations: by ``review`` and ``refuse``, how far a feature may lie from its mean, in standard deviations.
        expected_mae: median of the mean absolute errors of the cases.
        upper_mae: conformal quantile of these errors: exchangeable cases have at most that, but for ``1 - case_level``.
        baselines: medians of the errors of answers without a network, by their names.
    """

    features: dict[str, Usual]
    deviations: dict[str, float]
    expected_mae: float
    upper_mae: float
    baselines: dict[str, float]

    @property
    def worse_than(self) -> str | None:
        """The baseline that the network is no better than; then no case is worth its volume."""
        best = min(self.baselines, key=self.baselines.__getitem__)
        return best if self.expected_mae >= self.baselines[best] else None


class CaseVerdict(NamedTuple):
    """The verdict of a case, with its reasons."""

    verdict: str
    reasons: tuple[str, ...]


def usual_of(cases: Sequence[Mapping[str, float]]) -> dict[str, Usual]:
    """Mean and deviation of each feature over calibration cases."""
    features = {}
    for name in cases[0]:
        values = [case[name] for case in cases]
        deviation = max(float(np.std(values, ddof=1)), KINDS[kind_of(name)].least)
        features[name] = Usual(float(np.mean(values)), deviation)
    return features


def allowed_deviations(cases: int, features: int) -> dict[str, float]:
    """Half-width, in standard deviations, of the interval in which all features of a new case lie but for ``CHANCE``.

    Student's prediction interval of one more normal observation, shared out over the features (Bonferroni).

    Args:
        cases: from which mean and deviation are known, two at least.
        features: number of them.
    """
    wider = math.sqrt(1 + 1 / cases)
    return {
        verdict: float(stdtrit(cases - 1, 1 - chance / (2 * features))) * wider for verdict, chance in CHANCE.items()
    }


def verdict_of(
    features: Mapping[str, float] | str,
    limits: VerdictLimits,
    warnings: Sequence[str] = (),
    where: Callable[[str], str] = lambda name: "",
) -> CaseVerdict:
    """The verdict of a case by its features, or by why it has none; ``where`` tells the place of one that is unusual.

    A feature that is no number is refused, since no limit would hold it. A case with warnings is not accepted, and one
    that is unsuited (:data:`common.trust.input_check.UNSUITED`) is refused.
    """
    if isinstance(features, str):
        return CaseVerdict(REFUSE, (features,))
    if missing := [name for name in limits.features if name not in features]:
        return CaseVerdict(REFUSE, (f"{missing[0]}, which the calibration has, is not computed by this inference",))
    if broken := [name for name, value in features.items() if not math.isfinite(value)]:
        return CaseVerdict(REFUSE, (f"{broken[0]} is not a number",))
    far = sorted(
        ((abs(features[name] - usual.mean) / usual.deviation, name) for name, usual in limits.features.items()),
        reverse=True,
    )
    beyond = {
        verdict: [name for size, name in far if size > limits.deviations[verdict]] for verdict in (REVIEW, REFUSE)
    }
    worse_than = limits.worse_than
    reasons = list(warnings)
    reasons += [f"the weights are no better than the {worse_than} on their calibration cases"] if worse_than else []
    kinds = list({kind_of(name): name for name in reversed(beyond[REVIEW])}.values())[::-1]  # the furthest of each
    reasons += [in_words(name, features[name], _usual(name, limits), where(name)) for name in kinds[:SHOWN]]
    left = len(kinds) - SHOWN
    reasons += [f"{left} more unusual features"] if left > 0 else []
    is_unsuited = any(warning.startswith(UNSUITED) for warning in warnings)
    verdict = REFUSE if beyond[REFUSE] or worse_than or is_unsuited else REVIEW if reasons else ACCEPT
    return CaseVerdict(verdict, tuple(reasons))


def _usual(name: str, limits: VerdictLimits) -> tuple[float, float]:
    """The range of a feature outside of which a case is to be looked at."""
    usual = limits.features[name]
    room = limits.deviations[REVIEW] * usual.deviation
    return usual.mean - room, usual.mean + room
