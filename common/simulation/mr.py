"""MR rendering of a head phantom as magnitude images: T1-weighted, and a dual echo of PD and T2."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .corruptions.noise import rician
from .grid import Volume, smooth_noise, to_voxels
from .head import Anatomy, partial_volume
from .tissues import (
    RELAXATION,
    TISSUES,
    Relaxation,
    random_deviation,
    spin_echo,
    spoiled_gradient_echo,
)

T1_TR_MS, T1_TE_MS, T1_FLIP_DEGREES = 18.0, 10.0, 30.0
"""The T1-weighted spoiled gradient echo of BrainWeb (Kwan et al. 1999)."""

T1_WHITE = 2000.0
T1_GAIN_SPREAD = 0.15
MR_BLUR_MM = 0.45
BIAS_SMOOTHNESS_MM = 45.0

PD_T2_TR_MS, PD_TE_MS, T2_TE_MS = 8178.0, 8.0, 100.0
"""The dual echo of the IXI data set on its 1.5 T scanner (Philips, Guy's Hospital; brain-development.org)."""

PD_T2_WATER = 2000.0
PD_T2_GAIN = (0.7, 1.3)
"""[chosen] signal of fully relaxed water, and the range of the gain between cases."""

FLOW_VOID = 0.15
"""[chosen] signal of flowing blood relative to static blood: most of it leaves the slice between the pulses."""

T2_TEXTURE = 0.03
"""[chosen] relative standard deviation of T2 within the grey and the white matter of one head."""

SHARED_BIAS = 0.8
"""[chosen] share of the bias field's variance that both echoes have in common: that of the coil, not of the pulses."""


def render_t1(anatomy: Anatomy, rng: np.random.Generator, noise: float = 0.02, bias: float = 0.1) -> Volume:
    """T1-weighted MR of an anatomy, (X, Y, Z) float32; white matter is near 2000, fat up to about 4000.

    Args:
        anatomy: what to render.
        rng: draws the tissues' spread, the gain (within 15%), the bias field and the noise.
        noise: standard deviation of each of the two channels of the Rician noise, relative to white matter.
        bias: standard deviation of the logarithm of the smooth receive field, clipped to two standard deviations.
    """
    signals = {name: _t1_signal(RELAXATION[name], rng) for name in TISSUES}
    white = T1_WHITE * rng.uniform(1 - T1_GAIN_SPREAD, 1 + T1_GAIN_SPREAD)
    image = partial_volume(anatomy, {name: white * signal / signals["white"] for name, signal in signals.items()})
    image = ndimage.gaussian_filter(image, MR_BLUR_MM / anatomy.spacing)
    image *= np.exp(np.float32(bias) * _field(anatomy, rng))
    return rician(image, noise * white, rng)


def render_pd_t2(
    anatomy: Anatomy, rng: np.random.Generator, noise: float = 0.01, bias: float = 0.1
) -> tuple[Volume, Volume]:
    """PD- and T2-weighted MR of an anatomy: the two spin echoes of one acquisition, (X, Y, Z) float32 each.

    CSF is near 1870 in the PD and 1410 in the T2, white matter near 1370 and 370, times the case's gain.

    Args:
        anatomy: what to render.
        rng: draws the tissues' spread, the gain (``PD_T2_GAIN``), bias fields and noise; the echoes share tissues and
            gain, and part of the bias field (``SHARED_BIAS``), but not the noise.
        noise: standard deviation of each of the two channels of the Rician noise, relative to fully relaxed water.
        bias: standard deviation of the logarithm of each echo's bias field, clipped to 2.7 standard deviations.
    """
    person = {name: _relaxation(RELAXATION[name], rng) for name in TISSUES}
    water = PD_T2_WATER * rng.uniform(*PD_T2_GAIN)
    texture = np.float32(T2_TEXTURE) * to_voxels(
        smooth_noise(rng, 12.0), anatomy.head.shape, anatomy.spacing, *anatomy.motion
    )
    shared = _field(anatomy, rng)
    echoes = []
    for te in (PD_TE_MS, T2_TE_MS):
        image = np.float32(water) * _echo(anatomy, person, te, texture)
        field = np.float32(SHARED_BIAS**0.5) * shared + np.float32((1 - SHARED_BIAS) ** 0.5) * _field(anatomy, rng)
        echoes.append(rician(image * np.exp(np.float32(bias) * field), noise * water, rng))
    return echoes[0], echoes[1]


def _echo(anatomy: Anatomy, person: dict[str, Relaxation], te: float, texture: Volume) -> Volume:
    """Blurred signal at an echo time, without noise and bias field, relative to fully relaxed water."""
    signals = {name: spin_echo(tissue, PD_T2_TR_MS, te) for name, tissue in person.items()}
    signals["vessel"] *= FLOW_VOID
    image = partial_volume(anatomy, signals)
    for name in ("white", "grey"):
        longer = np.expm1(np.float32(te / person[name].t2) * texture / (1 + texture))
        image += np.float32(signals[name]) * anatomy.fractions[name] * longer
    blurred: Volume = ndimage.gaussian_filter(image, MR_BLUR_MM / anatomy.spacing)
    return blurred


def _field(anatomy: Anatomy, rng: np.random.Generator) -> Volume:
    """Smooth field that does not move with the head; standard deviation 1, clipped to [-2, 2]."""
    shape = anatomy.fractions["background"].shape
    return to_voxels(smooth_noise(rng, BIAS_SMOOTHNESS_MM), shape, anatomy.spacing)


def _t1_signal(tissue: Relaxation, rng: np.random.Generator) -> float:
    """Signal of a tissue in one case: T1 and density are drawn around the values of the table."""
    t1 = tissue.t1 * (1 + tissue.spread * random_deviation(rng))
    density = tissue.density * (1 + tissue.spread / 2 * random_deviation(rng))
    return spoiled_gradient_echo(tissue._replace(t1=t1, density=density), T1_TR_MS, T1_TE_MS, T1_FLIP_DEGREES)


def _relaxation(tissue: Relaxation, rng: np.random.Generator) -> Relaxation:
    """Relaxation of a tissue in one case: T1, T2 and density are drawn around the values of the table."""
    t1 = tissue.t1 * (1 + tissue.spread * random_deviation(rng))
    t2 = tissue.t2 * (1 + tissue.spread * random_deviation(rng))
    return tissue._replace(t1=t1, t2=t2, density=tissue.density * (1 + tissue.spread / 2 * random_deviation(rng)))
