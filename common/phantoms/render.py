"""What a scanner would show of an anatomy: CT in Hounsfield units, T1-weighted MR as a magnitude image.

Each renderer is a table (``tissues.py``), an equation, partial volume, blur and noise; other contrasts are further such
functions.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from common.phantoms.anatomy import Anatomy
from common.phantoms.grid import Volume, smooth_noise, to_voxels
from common.phantoms.tissues import HOUNSFIELD, RELAXATION, TISSUES, Relaxation, spoiled_gradient_echo

CT_RANGE_HU = (-1024.0, 3071.0)
"""What twelve bits hold, as scanners store it."""

CT_BLUR_MM = 0.5
"""Standard deviation of the CT's point spread: a soft-tissue kernel of about 1.2 mm full width at half maximum."""

BONE_TEXTURE = 0.06
"""[chosen] relative standard deviation of the density of bone within one skull."""

T1_TR_MS, T1_TE_MS, T1_FLIP_DEGREES = 18.0, 10.0, 30.0
"""The T1-weighted spoiled gradient echo of BrainWeb (Kwan et al. 1999)."""

T1_WHITE = 2000.0
T1_GAIN_SPREAD = 0.15
MR_BLUR_MM = 0.45


def render_ct(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float = 8.0) -> Volume:
    """CT of an anatomy in HU, (X, Y, Z) float32 in [-1024, 3071].

    Tissues differ between cases by the spread of ``HOUNSFIELD``; bone also varies within a skull. The noise is
    Gaussian, smoothed by the reconstruction kernel and then of standard deviation ``noise_hu``.
    """
    values = {name: HOUNSFIELD[name].mean + HOUNSFIELD[name].spread * _person(rng) for name in TISSUES}
    image = _mix(anatomy, values)
    shape = image.shape
    texture = np.float32(BONE_TEXTURE) * to_voxels(smooth_noise(rng, 12.0), shape, anatomy.spacing)
    for name in ("skull", "marrow"):
        image += np.float32(values[name]) * anatomy.fractions[name] * texture
    image = ndimage.gaussian_filter(image, CT_BLUR_MM / anatomy.spacing)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), CT_BLUR_MM / anatomy.spacing)
    image += np.float32(noise_hu / noise.std()) * noise
    return np.clip(image, *CT_RANGE_HU)


def render_t1(anatomy: Anatomy, rng: np.random.Generator, noise: float = 0.02, bias: float = 0.1) -> Volume:
    """T1-weighted MR of an anatomy, (X, Y, Z) float32 white matter near 2000, fat up to about 4000.

    Args:
        anatomy: what to render.
        rng: draws the tissues' spread, the gain (within 15%), the bias field and the noise.
        noise: standard deviation of each of the two channels of the Rician noise, relative to white matter.
        bias: standard deviation of the logarithm of the smooth receive field, which is cut off at twice that.
    """
    signals = {name: _t1_signal(RELAXATION[name], rng) for name in TISSUES}
    white = T1_WHITE * rng.uniform(1 - T1_GAIN_SPREAD, 1 + T1_GAIN_SPREAD)
    image = _mix(anatomy, {name: white * signal / signals["white"] for name, signal in signals.items()})
    shape = image.shape
    image = ndimage.gaussian_filter(image, MR_BLUR_MM / anatomy.spacing)
    image *= np.exp(np.float32(bias) * to_voxels(smooth_noise(rng, 45.0), shape, anatomy.spacing))
    sigma = np.float32(noise * white)
    real, imaginary = (sigma * rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary)


def _mix(anatomy: Anatomy, values: dict[str, float]) -> Volume:
    """Partial volume: the tissues' values weighted by their fractions."""
    image = np.zeros_like(anatomy.fractions["background"])
    for name, fraction in anatomy.fractions.items():
        image += np.float32(values[name]) * fraction
    return image


def _person(rng: np.random.Generator) -> float:
    """How far a case lies from the table's mean, in spreads; nobody lies beyond two."""
    return float(np.clip(rng.standard_normal(), -2, 2))


def _t1_signal(tissue: Relaxation, rng: np.random.Generator) -> float:
    """The tissue's signal in this case: T1 and density each drawn around the table's values."""
    t1 = tissue.t1 * (1 + tissue.spread * _person(rng))
    density = tissue.density * (1 + tissue.spread / 2 * _person(rng))
    return spoiled_gradient_echo(tissue._replace(t1=t1, density=density), T1_TR_MS, T1_TE_MS, T1_FLIP_DEGREES)
