"""MR of one person and session as magnitude images: T1-weighted, T2-weighted and FLAIR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .corruptions.intensity import blurred
from .corruptions.noise import rician
from .head import Anatomy, partial_volume
from .mr import MR_BLUR_MM
from .physics import InvertedEcho, NulledFluid, PulseSequence, SpinEcho, Tissues
from .scanner import Scanner

SEQUENCES: Mapping[str, PulseSequence] = {
    "t1": InvertedEcho(),
    "t2": SpinEcho(te_ms=(80.0, 120.0)),
    "flair": NulledFluid(),
}
"""Those of Lesjak et al. 2017 are in these ranges."""

WATER = 2000.0
NOISE = 0.005
"""[chosen] signal of fully relaxed water, and the noise of each channel relative to it: FLAIR has little signal."""


def render_session(anatomy: Anatomy, names: Iterable[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Images (X, Y, Z) int16 of one person and session by the names of their sequences."""
    person, places = Tissues(agent_probability=0.0).draw(rng), (rng.random(), rng.random())
    bias, _ = Scanner().bias_fields(rng, anatomy.head.shape, anatomy.spacing)
    return {name: scan(anatomy, SEQUENCES[name].signals(person, places), bias, NOISE, rng) for name in names}


def scan(
    anatomy: Anatomy, signals: Mapping[str, float], bias: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Image (X, Y, Z) int16 of the signals of tissues; signals and noise are relative to fully relaxed water."""
    signal = blurred(partial_volume(anatomy, signals), MR_BLUR_MM, anatomy.spacing)
    image: np.ndarray = np.rint(rician(WATER * signal * bias, noise * WATER, rng))
    return image.astype(np.int16)
