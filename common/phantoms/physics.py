"""Randomised MR physics: relaxation of one person's tissues at one field strength, and pulse sequences.

Domain randomisation: a network that has seen every plausible contrast treats that of a real scanner as one more of
them (Tobin et al. 2017; Billot et al. 2023). Each range is ``[low, high]``; a value is drawn uniformly once per case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from common.errors import ConfigError
from common.phantoms.tissues import (
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

OUTSIDE_BRAIN = ("dura", "skull", "marrow", "muscle", "fat", "skin")
"""Tissues with the least certain values and the largest differences between sequences; their spread is a setting."""


def drawn(values: Range, place: float, name: str) -> float:
    """Value at a place from 0 (low) to 1 (high) of a range.

    Raises:
        ConfigError: the range is not two numbers, the lower one first.
    """
    if len(values) != 2 or not values[0] <= values[1]:
        raise ConfigError(name, "is a range [low, high]", list(values), "swap or correct its ends")
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
    """Spoiled gradient echo, T1-weighted (Haase et al. 1986, eq. 1).

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
class InvertedEcho:
    """Inversion recovery, T1-weighted: ``density |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``.

    Magnitude, as scanners store it; see :func:`common.phantoms.tissues.inversion_recovery`. The defaults span the turbo
    inversion recovery of Lesjak et al. 2017 (TR 2000, TI 800, TE 20 ms) and MPRAGE (TR 1900 to 2300, TI 900 ms): both
    leave fluid nearly dark.

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
class AnyEcho:
    """Random choice among sequences with equal probability: the first place selects, its remainder is passed on.

    Args:
        sequences: the ones to choose from.
    """

    sequences: Sequence[PulseSequence]

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water."""
        chosen, rest = divmod(places[0] * len(self.sequences), 1)
        last = len(self.sequences) - 1
        return self.sequences[min(int(chosen), last)].signals(tissues, (rest, *places[1:]))


@dataclass(frozen=True)
class Tissues:
    """Random relaxation of a person's tissues, drawn around the table of :mod:`common.phantoms.tissues`.

    Args:
        field_tesla: field strengths to draw from, each 1.5 or 3.
        spread: factor on the table's spread between people; 0 gives everybody the table's values.
        outside_spread: additional relative standard deviation of density and T2 outside the brain.
        fat_t2_factor: factor by which the echo train of a fast spin echo lengthens the T2 of fat and marrow
            (J-coupling; Henkelman et al. 1992).
        fat_suppression: probability of fat saturation, which leaves 5 to 30% of the signal of fat and marrow.
        flow_void: signal of flowing blood relative to static blood.
    """

    field_tesla: Sequence[float] = (1.5, 3.0)
    spread: float = 1.5
    outside_spread: float = 0.2
    fat_t2_factor: Range = (1.0, 2.0)
    fat_suppression: float = 0.15
    flow_void: Range = (0.05, 0.6)

    def __post_init__(self) -> None:
        if not set(self.field_tesla) <= {1.5, 3.0} or not self.field_tesla:
            raise ConfigError("field_tesla", "lists 1.5, 3 or both", list(self.field_tesla), "correct it")

    def draw(self, rng: np.random.Generator) -> dict[str, Relaxation]:
        """T1, T2, T2* in ms and density of each tissue in one person."""
        high_field = rng.choice(self.field_tesla) == 3.0
        longer_fat = drawn(self.fat_t2_factor, rng.random(), "fat_t2_factor")
        suppressed = rng.uniform(0.05, 0.3) if rng.random() < self.fat_suppression else 1.0
        void = drawn(self.flow_void, rng.random(), "flow_void")
        person = {}
        for name, tissue in RELAXATION.items():
            spread, extra = self.spread * tissue.spread, self.outside_spread * (name in OUTSIDE_BRAIN)
            fatty = name in ("fat", "marrow")
            t1 = tissue.t1 * (T1_AT_3T.get(name, 1.0) if high_field else 1.0) * _factor(rng, spread)
            t2 = tissue.t2 * (T2_AT_3T.get(name, 1.0) if high_field else 1.0) * _factor(rng, spread + extra)
            scale = (suppressed if fatty else 1.0) * (void if name == "vessel" else 1.0)
            density = tissue.density * scale * _factor(rng, spread / 2 + extra)
            t2 *= longer_fat if fatty else 1.0
            person[name] = tissue._replace(t1=t1, t2=t2, density=density)
        return person


def _factor(rng: np.random.Generator, spread: float) -> float:
    """Factor around 1 with a relative spread, clipped to two spreads and to at least 0.2."""
    return max(1 + spread * random_deviation(rng), 0.2)


LEAST_SHARE = 0.1
"""Part of a sequence's range that has a weighting; less is its border to the next."""

DARK_FLUID, BRIGHT_FLUID = 0.65, 1.86
"""Signal of fluid over that of white matter below which a scan is FLAIR and above which it is T2-weighted. TE of 35 ms
and TR of 9 s give 1.87, TE of 85 ms and TR of 2 s 1.86: the longest PD and the shortest T2 of the simulations."""


def weightings(sequence: PulseSequence) -> list[str]:
    """Weightings in the ranges of a sequence, of T1, PD, T2 and FLAIR, by the order of fluid, grey and white matter.

    Signals are those of the table at 1.5 T; a weighting counts from a tenth of the ranges on.
    """
    steps = (np.arange(8) + 0.5) / 8
    seen = [_weighting(sequence.signals(RELAXATION, (one, other))) for one in steps for other in steps]
    return [name for name in ("T1", "PD", "T2", "FLAIR") if seen.count(name) >= LEAST_SHARE * len(seen)]


def _weighting(signals: Mapping[str, float]) -> str:
    """Weighting with these signals of ``csf``, ``grey`` and ``white``."""
    fluid, grey, white = (signals[name] for name in ("csf", "grey", "white"))
    if white > grey:
        return "T1"
    if fluid < DARK_FLUID * white:
        return "FLAIR"
    return "T2" if fluid > BRIGHT_FLUID * white else "PD"
