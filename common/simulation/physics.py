"""Randomised MR physics: relaxation of one person's tissues at one field strength, and pulse sequences.

Domain randomisation: a network that has seen every plausible contrast treats that of a real scanner as one more of
them (Tobin et al. 2017; Billot et al. 2023). Each range is ``[low, high]``; a value is drawn uniformly once per case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import ConfigError
from .tissues import (
    RELAXATION,
    Relaxation,
    inversion_recovery,
    random_deviation,
    spin_echo,
    spoiled_gradient_echo,
)

Range = Sequence[float]


class PulseSequence(Protocol):
    """Interface of a pulse sequence, whose settings are drawn from ranges."""

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water, for places from 0 to 1 in two ranges of settings."""


T1_AT_3T: Mapping[str, float] = {
    "vessel": 1.34, "white": 1.23, "grey": 1.62, "lesion": 1.4, "muscle": 1.40, "skin": 1.40, "fat": 1.11, "dura": 1.3,
    "thalamus": 1.45, "striatum": 1.55, "pallidum": 1.4, "stem": 1.3, "choroid": 1.3, "mucosa": 1.4, "oedema": 1.4,
    "tumour": 1.4, "infarct": 1.4, "haematoma": 1.3,
}  # fmt: skip
T2_AT_3T: Mapping[str, float] = {"vessel": 0.95, "white": 0.96, "grey": 1.04, "muscle": 1.14, "marrow": 0.86}
"""T1 and T2 at 3 T over those at 1.5 T: Stanisz et al. 2005 (blood, white, grey, muscle), de Bazelaire et al. 2004
(fat, marrow); others [chosen] between their neighbours. Tissues without a number have equal times at both
field strengths."""

T2_STAR_AT_3T = 0.8
"""T2* at 3 T over that at 1.5 T: 66.0 and 84.0 ms in cortex, 53.2 and 66.2 ms in white matter (Peters et al. 2007)."""

FLUID_T1_MS = 4300.0
"""T1 of cerebrospinal fluid (Rooney et al. 2007). With that of BrainWeb, 2569 ms, no inversion time leaves fluid dark
and grey matter brighter than white, as scanners' FLAIR does."""

FLUID_T2_STAR_MS = 180.0
"""[chosen] of its T2 of 329 ms and the 409 ms of dephasing that BrainWeb gives grey matter (T2 of 83, T2* of 69 ms).
With BrainWeb's own, 58 ms, fluid would not be brighter than the brain on T2*-weighted scans."""

FLUIDS = tuple(name for name, tissue in RELAXATION.items() if tissue.t1 > 2000)
"""Tissues that relax like water: of the others, blood has the longest T1, 1441 ms."""

AGENT_SHARE: Mapping[str, float] = {
    "vessel": 1.0, "choroid": 0.5, "mucosa": 0.5, "tumour": 0.4, "dura": 0.3, "infarct": 0.1, "muscle": 0.12,
    "skin": 0.12, "marrow": 0.1,
}  # fmt: skip
"""[chosen] uptake of a contrast agent relative to blood: of what has no blood-brain barrier, so none of the brain."""

OUTSIDE_BRAIN = ("dura", "skull", "marrow", "muscle", "fat", "skin")
"""Tissues with the least certain values and the largest differences between sequences; their spread is a setting."""


def drawn(values: Range, place: float, name: str) -> float:
    """Value at a place from 0 (low) to 1 (high) of a range.

    Raises:
        ConfigError: the range is not two numbers, the lower one first.
    """
    if len(values) != 2 or not values[0] <= values[1]:
        raise ConfigError(f"{name} is {list(values)}, not a range [low, high]", "pass two numbers, the lower first")
    return float(values[0] + place * (values[1] - values[0]))


@dataclass(frozen=True)
class SpinEcho:
    """Spin echo, or fast spin echo at its effective echo time: ``density (1 - exp(-TR/T1)) exp(-TE/T2)``.

    The defaults span the PD echo of common dual-echo sequences: IXI has TR 8178 and 5726 ms, TE 8 ms; clinical ones
    have TR 2000 to 4000 and TE 14 to 30 ms.

    Args:
        tr_ms: repetition time.
        te_ms: echo time.
    """

    tr_ms: Range = (2000.0, 9000.0)
    te_ms: Range = (8.0, 35.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water, for a place in the range of TR and of TE."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, places[1], "te_ms")
        return {name: spin_echo(tissue, tr, te) for name, tissue in tissues.items()}


@dataclass(frozen=True)
class SpoiledEcho:
    """Spoiled gradient echo, by default T1-weighted (Haase et al. 1986, eq. 1).

    The defaults span those of BrainWeb (TR 18 ms, TE 10 ms, 30 degrees) and the 3-D T1 of IXI (TR 9.6 to 9.8 ms, TE
    4.6 ms, 8 degrees; larger angles stand for its preparation pulse).

    Args:
        tr_ms: repetition time.
        te_ms: echo time.
        flip_degrees: flip angle of the pulse.
    """

    tr_ms: Range = (9.0, 25.0)
    te_ms: Range = (2.5, 8.0)
    flip_degrees: Range = (18.0, 35.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water; the flip angle has the same place as TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, places[1], "te_ms")
        flip = drawn(self.flip_degrees, places[0], "flip_degrees")
        return {name: spoiled_gradient_echo(tissue, tr, te, flip) for name, tissue in tissues.items()}


@dataclass(frozen=True)
class T2StarEcho(SpoiledEcho):
    """Spoiled gradient echo, T2*-weighted: fluid bright, iron, veins and old blood dark.

    The defaults [chosen] span scans for bleeding and susceptibility, at a long TR and a small angle, which leave little
    T1 weighting, around the TE of 20 ms at 3 T and 40 ms at 1.5 T that Haacke et al. 2009 recommend.
    """

    tr_ms: Range = (400.0, 1000.0)
    te_ms: Range = (15.0, 40.0)
    flip_degrees: Range = (10.0, 20.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water."""
        return super().signals(_with_fluids(tissues, t2_star=FLUID_T2_STAR_MS), places)


@dataclass(frozen=True)
class InvertedEcho:
    """Inversion recovery, T1-weighted: ``density |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``.

    Magnitude, as scanners store it; see :func:`common.simulation.tissues.inversion_recovery`. The defaults span the
    turbo inversion recovery of Lesjak et al. 2017 (TR 2000, TI 800, TE 20 ms) and MPRAGE (TR 1900 to 2300, TI 900 ms):
    both leave fluid nearly dark.

    Args:
        tr_ms: repetition time.
        ti_ms: inversion time.
        te_ms: echo time.
    """

    tr_ms: Range = (1800.0, 2400.0)
    ti_ms: Range = (750.0, 1000.0)
    te_ms: Range = (3.0, 20.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water; places of TR and TI, and TE falls with TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, 1 - places[0], "te_ms")
        ti = drawn(self.ti_ms, places[1], "ti_ms")
        return {name: inversion_recovery(tissue, tr, ti, te) for name, tissue in tissues.items()}


@dataclass(frozen=True)
class NulledFluid:
    """FLAIR: inversion recovery near the null of fluid, ``TI = T1 ln(2 / (1 + exp(-TR / T1)))``.

    Hajnal et al. 1992. The defaults [chosen] span clinical 2-D protocols at 1.5 and 3 T.

    Args:
        tr_ms: repetition time.
        te_ms: echo time.
        null: inversion time over that of the null.
    """

    tr_ms: Range = (8000.0, 11000.0)
    te_ms: Range = (90.0, 140.0)
    null: Range = (0.95, 1.03)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water; TE falls with TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, 1 - places[0], "te_ms")
        nulling = FLUID_T1_MS * math.log(2 / (1 + math.exp(-tr / FLUID_T1_MS)))
        ti = nulling * drawn(self.null, places[1], "null")
        person = _with_fluids(tissues, t1=FLUID_T1_MS)
        return {name: inversion_recovery(tissue, tr, ti, te) for name, tissue in person.items()}


def _with_fluids(tissues: Mapping[str, Relaxation], **times: float) -> dict[str, Relaxation]:
    """Tissues whose fluids have other times, in ms."""
    return {name: tissue._replace(**times) if name in FLUIDS else tissue for name, tissue in tissues.items()}


@dataclass(frozen=True)
class AnyEcho:
    """Random choice among sequences: the first place selects, its position in the share of the selected is passed on.

    Args:
        sequences: the ones to choose from.
        weights: of each, relative to their sum; equal by default.

    Raises:
        ConfigError: not one weight for each sequence, a negative one, or none above 0.
    """

    sequences: Sequence[PulseSequence]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        weights = self.weights
        if weights is not None and (len(weights) != len(self.sequences) or min(weights) < 0 or max(weights) == 0):
            fault = f"weights of {len(self.sequences)} sequences are {list(weights)}"
            raise ConfigError(fault, "give each a number of 0 or more, and one above 0")

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water."""
        shares = np.asarray(self.weights or [1.0] * len(self.sequences), float)
        ends = np.cumsum(shares) / shares.sum()
        chosen = int(min(np.searchsorted(ends, places[0], "right"), np.flatnonzero(shares)[-1]))
        start = ends[chosen - 1] if chosen else 0.0
        rest = float((places[0] - start) / (ends[chosen] - start) % 1)
        return self.sequences[chosen].signals(tissues, (rest, *places[1:]))


@dataclass(frozen=True)
class Tissues:
    """Random relaxation of a person's tissues, drawn around the table of :mod:`common.simulation.tissues`.

    Args:
        field_tesla: field strengths to draw from, each 1.5 or 3.
        spread: factor on the table's spread between people; 0 gives everybody the table's values.
        outside_spread: additional relative standard deviation of density and T2 outside the brain.
        fat_t2_factor: factor by which the echo train of a fast spin echo lengthens the T2 of fat and marrow
            (J-coupling; Henkelman et al. 1992).
        fat_suppression: probability of fat saturation, which leaves 5 to 30% of the signal of fat and marrow.
        flow_void: signal of flowing blood relative to static blood.
        agent_probability: probability of a scan after a contrast agent of gadolinium, which shortens T1.
        agent_rate: by how much it raises the rate ``1 / T1`` of blood, in 1/s: 0.3 to 1.3 mM with 4.5 per mM and s.
    """

    field_tesla: Sequence[float] = (1.5, 3.0)
    spread: float = 1.5
    outside_spread: float = 0.2
    fat_t2_factor: Range = (1.0, 2.0)
    fat_suppression: float = 0.15
    flow_void: Range = (0.05, 0.6)
    agent_probability: float = 0.1
    agent_rate: Range = (1.5, 6.0)

    def __post_init__(self) -> None:
        if not set(self.field_tesla) <= {1.5, 3.0} or not self.field_tesla:
            raise ConfigError(f"field_tesla is {list(self.field_tesla)}, not of 1.5 and 3", "list 1.5, 3 or both")

    def draw(self, rng: np.random.Generator) -> dict[str, Relaxation]:
        """T1, T2, T2* in ms and density of each tissue in one person."""
        high_field = rng.choice(self.field_tesla) == 3.0
        longer_fat = drawn(self.fat_t2_factor, rng.random(), "fat_t2_factor")
        suppressed = rng.uniform(0.05, 0.3) if rng.random() < self.fat_suppression else 1.0
        void = drawn(self.flow_void, rng.random(), "flow_void")
        person = {}
        for name, tissue in (at_three_tesla(RELAXATION) if high_field else RELAXATION).items():
            spread, extra = self.spread * tissue.spread, self.outside_spread * (name in OUTSIDE_BRAIN)
            fatty = name in ("fat", "marrow")
            t1, t2 = tissue.t1 * _factor(rng, spread), tissue.t2 * _factor(rng, spread + extra)
            scale = (suppressed if fatty else 1.0) * (void if name == "vessel" else 1.0)
            density = tissue.density * scale * _factor(rng, spread / 2 + extra)
            t2 *= longer_fat if fatty else 1.0
            t2_star = min(tissue.t2_star * _factor(rng, spread + extra), t2)
            person[name] = Relaxation(t1, t2, t2_star, density, tissue.spread)
        if rng.random() < self.agent_probability:
            return enhanced(person, drawn(self.agent_rate, rng.random(), "agent_rate"))
        return person


def at_three_tesla(tissues: Mapping[str, Relaxation]) -> dict[str, Relaxation]:
    """Relaxation at 3 T of tissues at 1.5 T, times in ms."""
    person = {}
    for name, tissue in tissues.items():
        t2 = tissue.t2 * T2_AT_3T.get(name, 1.0)
        star = min(tissue.t2_star * T2_STAR_AT_3T, t2)
        person[name] = tissue._replace(t1=tissue.t1 * T1_AT_3T.get(name, 1.0), t2=t2, t2_star=star)
    return person


def enhanced(person: Mapping[str, Relaxation], rate: float) -> dict[str, Relaxation]:
    """Tissues after a contrast agent that raises ``1 / T1`` of blood by ``rate`` in 1/s, of others by their share."""
    return {
        name: tissue._replace(t1=1 / (1 / tissue.t1 + AGENT_SHARE.get(name, 0.0) * rate / 1000))
        for name, tissue in person.items()
    }


def _factor(rng: np.random.Generator, spread: float) -> float:
    """Factor around 1 with a relative spread, clipped to two spreads and to at least 0.2."""
    return max(1 + spread * random_deviation(rng), 0.2)
