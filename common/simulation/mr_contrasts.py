"""Contrasts of MR: the sequences of each weighting, random ones that no sequence has, and the choice among all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .physics import (
    AnyEcho,
    InvertedEcho,
    NulledFluid,
    PulseSequence,
    Range,
    SpinEcho,
    SpoiledEcho,
    T2StarEcho,
    drawn,
)
from .tissues import RELAXATION, Relaxation

T1 = AnyEcho((SpoiledEcho(), InvertedEcho(), SpinEcho(tr_ms=(400.0, 700.0), te_ms=(8.0, 20.0))))
PD = SpinEcho()
T2 = SpinEcho(tr_ms=(2000.0, 9000.0), te_ms=(85.0, 115.0))
FLAIR = NulledFluid()
T2_STAR = T2StarEcho()
"""Sequences of each weighting. The T1-weighted spin echo spans that of BrainWeb (TR 500 ms) and clinical ones; the
T2-weighted one the second echo of IXI (TE 92 and 100 ms)."""

EARLIEST_ECHO_MS = 5.0
"""[chosen] echo time that bounds random levels: compact bone (T2 of 0.5 ms) has no signal left then."""


@dataclass(frozen=True)
class MixedContrast:
    """Random contrast that no sequence has: a positive mixture of two sequences and of a random level of each tissue.

    A network trained on it cannot rely on one table of relaxation times. Billot et al. 2023 (SynthSeg) draw the mean of
    each tissue from one uniform distribution; here it stays below what protons and T2 leave at the earliest echo, so
    that air and compact bone are dark. Each part is relative to its brightest tissue.

    Args:
        sequences: two of them are mixed.
        random_share: share of the random levels in the mixture.
        levels: of the tissues, relative to their bound.
    """

    sequences: Sequence[PulseSequence] = (T1, PD, T2, FLAIR, T2_STAR)
    random_share: Range = (0.0, 1.0)
    levels: Range = (0.05, 1.0)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to the brightest one; the places are the seed of all that is random."""
        rng = np.random.default_rng([int(place * 2**52) for place in places])
        random_share, sequence_share = drawn(self.random_share, rng.random(), "random_share"), rng.random()
        bounds = {name: tissue.density * math.exp(-EARLIEST_ECHO_MS / tissue.t2) for name, tissue in tissues.items()}
        parts = [{name: bound * drawn(self.levels, rng.random(), "levels") for name, bound in bounds.items()}]
        for number in rng.permutation(len(self.sequences))[:2]:
            parts.append(self.sequences[number].signals(tissues, (rng.random(), rng.random())))
        weights = (random_share, *((1 - random_share) * share for share in (sequence_share, 1 - sequence_share)))
        mixed = {
            name: sum(weight * part[name] / max(part.values()) for weight, part in zip(weights, parts, strict=True))
            for name in tissues
        }
        return {name: level / max(mixed.values()) for name, level in mixed.items()}


def any_contrast(
    t1: float = 4.0, pd: float = 1.0, t2: float = 2.0, flair: float = 1.0, t2_star: float = 1.0, mixed: float = 3.0
) -> AnyEcho:
    """Random choice among all contrasts with these weights, relative to their sum; the defaults are [chosen].

    Args:
        t1: weight of spoiled and inverted gradient echo and of spin echo, T1-weighted.
        pd: weight of PD-weighted spin echo.
        t2: weight of T2-weighted spin echo.
        flair: weight of inversion recovery that nulls fluid.
        t2_star: weight of T2*-weighted gradient echo.
        mixed: weight of random contrasts.
    """
    return AnyEcho((T1, PD, T2, FLAIR, T2_STAR, MixedContrast()), (t1, pd, t2, flair, t2_star, mixed))


LEAST_SHARE = 0.1
"""Part of a sequence's range that has a weighting; less is its border to the next."""

DARK_FLUID, BRIGHT_FLUID = 0.65, 1.86
"""Signal of fluid over that of white matter below which a scan is FLAIR and above which it is T2-weighted. TE of 35 ms
and TR of 9 s give 1.87, TE of 85 ms and TR of 2 s 1.86: the longest PD and the shortest T2 of the simulations."""


def weightings(sequence: PulseSequence) -> list[str]:
    """Weightings in the ranges of a sequence, of T1, PD, T2 and FLAIR, by the order of fluid, grey and white matter.

    Signals are those of the table at 1.5 T; a weighting counts from a tenth of the ranges of one sequence on. A
    T2*-weighted scan counts as what it looks like.
    """
    if isinstance(sequence, AnyEcho):
        weights = sequence.weights or [1.0] * len(sequence.sequences)
        chosen = [part for part, weight in zip(sequence.sequences, weights, strict=True) if weight > 0]
        found = {name for part in chosen for name in weightings(part)}
        return [name for name in ("T1", "PD", "T2", "FLAIR") if name in found]
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
