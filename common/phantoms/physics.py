"""Randomised MR physics: the tissues of one person at one field strength, and what a drawn sequence shows of each.

A network that has seen every plausible contrast treats a real scanner's as one more of them (Tobin et al. 2017;
Billot et al. 2023). Each range is ``[low, high]`` and is drawn from evenly, once a case.
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
    """A sequence: what it shows of each tissue, for a place from 0 to 1 in each of two ranges of its settings."""

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water."""


T1_AT_3T: Mapping[str, float] = {
    "vessel": 1.34, "white": 1.23, "grey": 1.62, "lesion": 1.4, "muscle": 1.40, "skin": 1.40, "fat": 1.11, "dura": 1.3,
}  # fmt: skip
T2_AT_3T: Mapping[str, float] = {"vessel": 0.95, "white": 0.96, "grey": 1.04, "muscle": 1.14, "marrow": 0.86}
"""T1 and T2 at 3 T over those at 1.5 T: Stanisz et al. 2005 (blood, white, grey, muscle), de Bazelaire et al. 2004
(fat, marrow); lesion, skin and dura [chosen] between their neighbours. Tissues without a number keep their times."""

OUTSIDE_BRAIN = ("dura", "skull", "marrow", "muscle", "fat", "skin")
"""What is least known and differs most between sequences (fat, marrow), so that its spread is a setting of its own."""


def drawn(values: Range, place: float, name: str) -> float:
    """The value at a place from 0 (low) to 1 (high) of a range.

    Raises:
        ConfigError: unless the range is two numbers, low first.
    """
    if len(values) != 2 or not values[0] <= values[1]:
        raise ConfigError(name, "is a range [low, high]", list(values), "swap or correct its ends")
    return float(values[0] + place * (values[1] - values[0]))


@dataclass(frozen=True)
class SpinEcho:
    """A spin echo, or a fast one at its effective echo time: ``density (1 - exp(-TR/T1)) exp(-TE/T2)``.

    Defaults span PD of the dual echoes in use: IXI has TR 8178 and 5726 ms, TE 8 ms; clinical ones TR 2000 to 4000 and
    TE 14 to 30 ms.

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
    """A spoiled gradient echo, T1-weighted (Haase et al. 1986, eq. 1).

    Defaults span BrainWeb's (TR 18 ms, TE 10 ms, 30 degrees) and IXI's 3-D T1 (TR 9.6 to 9.8 ms, TE 4.6 ms, 8 degrees;
    its preparation pulse is stood for by the larger angles).

    Args:
        tr_ms: repetition time.
        te_ms: echo time.
        flip_degrees: of the pulse.
    """

    tr_ms: Range = (9.0, 25.0)
    te_ms: Range = (2.5, 8.0)
    flip_degrees: Range = (18.0, 35.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water; the flip angle takes the place of TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, places[1], "te_ms")
        flip = drawn(self.flip_degrees, places[0], "flip_degrees")
        return {name: spoiled_gradient_echo(tissue, tr, te, flip) for name, tissue in tissues.items()}


@dataclass(frozen=True)
class InvertedEcho:
    """An inversion recovery, T1-weighted: ``density |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``.

    The magnitude, as scanners store it; :func:`common.phantoms.tissues.inversion_recovery`. Defaults span the turbo
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
        """Signal of each tissue relative to fully relaxed water; TI takes the place of TE, which follows TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, 1 - places[0], "te_ms")
        ti = drawn(self.ti_ms, places[1], "ti_ms")
        return {name: inversion_recovery(tissue, tr, ti, te) for name, tissue in tissues.items()}


@dataclass(frozen=True)
class AnyEcho:
    """One of several sequences, each as likely: the first place chooses, and what is left of it is that one's own.

    Args:
        sequences: to choose from.
    """

    sequences: Sequence[PulseSequence]

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water."""
        chosen, rest = divmod(places[0] * len(self.sequences), 1)
        last = len(self.sequences) - 1
        return self.sequences[min(int(chosen), last)].signals(tissues, (rest, *places[1:]))


@dataclass(frozen=True)
class Tissues:
    """The tissues of a person: the table of :mod:`common.phantoms.tissues` with everything uncertain drawn anew.

    Args:
        field_tesla: field strengths, one of which is drawn, each 1.5 or 3.
        spread: factor on the table's spread between people; 0 gives everybody the table's values.
        outside_spread: relative standard deviation of density and T2 outside the brain, on top of it.
        fat_t2_factor: by which the echo train of a fast spin echo lengthens the T2 of fat and marrow (J-coupling;
            Henkelman et al. 1992).
        fat_suppression: probability of fat saturation, which leaves 5 to 30% of the signal of fat and marrow.
        flow_void: signal of moving blood relative to blood at rest.
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
    """1 with a relative spread, cut off at two and never below a fifth."""
    return max(1 + spread * random_deviation(rng), 0.2)
