"""Quantitative maps of a brain phantom: MTR and diffusion of MR, and [11C]PIB uptake of PET.

PIB depends only on the myelin. MTR, RD, AD and FA depend on myelin, water and fibre coherence in different proportions:
none of them determines the myelin alone, all of them together do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from common.simulation.grid import Volume
from common.simulation.tissues import random_deviation
from mri2pet_sketcher_refiner.microstructure import Microstructure


class Quantity(NamedTuple):
    """Values of a quantity in healthy tissue and fluid, and its changes for loss of all myelin, water 1, coherence 1.

    Loss of myelin affects grey and white matter, the other two white matter. ``spread`` is the relative standard
    deviation between scans, [chosen].
    """

    white: float
    grey: float
    fluid: float
    no_myelin: float
    water: float
    coherence: float
    spread: float


MTR = Quantity(38.5, 32.0, 4.0, -10.0, -8.0, 0.0, 0.003)
"""Percent; it depends on the sequence, so that healthy tissue is [chosen]. Without myelin, in the middle of the range
of water, it is 24.5: 23.8 (4.3) in demyelinated, 30.0 (2.9) in remyelinated plaques (Schmierer et al. 2004).
Oedema lowers it without any loss of myelin (Vavasour et al. 2011); how the fall is shared between both is [chosen]."""

RADIAL = Quantity(0.52, 0.74, 3.0, 0.35, 0.4, -0.07, 0.003)
AXIAL = Quantity(1.22, 0.88, 3.0, 0.0, 0.7, 0.15, 0.003)
"""RD and AD, 1e-3 mm^2/s. Healthy tissue: mean diffusivity 0.75 in white and 0.79 in grey matter, near the 0.7 of
Pierpaoli et al. 1996; water at body temperature 3.0. Loss of myelin raises diffusion across the fibres and leaves that
along them (Song et al. 2002); fresh plaques whose RD is 40% above normal tend to stay (Naismith et al. 2010).
The effects of water and coherence are [chosen]: both diffusivities rise where axons are lost or water gathers, and
fibres that cross or fan out have less of AD and more of RD. FA is that of a tensor with these two: 0.49 in healthy
white matter."""

PIB = Quantity(1.5, 1.0, 0.4, -0.65, 0.0, 0.0, 0.005)
"""Distribution volume ratio of [11C]PIB; 1 is cerebellar grey matter, and the cortex of young people is near it (below
1.08, Mormino et al. 2012). White matter binds it for its myelin, plaques less (Stankoff et al. 2011; Bodini et al.
2016). 1.5 and the slope are [chosen] after another amyloid tracer: 1.51 (0.12) in normal-appearing white matter,
18% less in plaques (florbetaben, Matias-Guiu et al. 2015). Fluid [chosen]."""

NOISE = {"mtr": 0.6, "fa": 0.02, "rd": 0.02, "ad": 0.03}
MR_BLUR_MM = {"mtr": 0.5, "fa": 0.8, "rd": 0.8, "ad": 0.8}
"""[chosen] standard deviations of the noise and of the point spread; diffusion is measured in larger voxels."""

PET_NOISE = 0.04
PET_FWHM_MM = 4.0
"""[chosen] full width at half maximum: the 2.5 mm of the HRRT, widened by reconstruction and motion of the head."""

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


def render_mtr_dti(brain: Microstructure, rng: np.random.Generator, noise: float = 1.0) -> dict[str, Volume]:
    """MTR in percent, FA in [0, 1], RD and AD in 1e-3 mm^2/s, (X, Y, Z) float32 each, 0 outside the brain.

    Args:
        brain: what to render.
        rng: draws the deviation of the scan from the table (``Quantity.spread``), and the noise.
        noise: factor on ``NOISE``.
    """
    mtr, rd, ad = (_map(brain, quantity, rng) for quantity in (MTR, RADIAL, AXIAL))
    images = {"mtr": mtr, "fa": (ad - rd) / np.sqrt(ad**2 + 2 * rd**2), "rd": rd, "ad": ad}
    for name, image in images.items():
        blurred = ndimage.gaussian_filter(image, MR_BLUR_MM[name] / brain.spacing)
        noisy = blurred + np.float32(noise * NOISE[name]) * rng.standard_normal(image.shape, dtype=np.float32)
        images[name] = np.clip(noisy, 0, 1 if name == "fa" else None) * brain.mask
    return images


def render_pib(brain: Microstructure, rng: np.random.Generator, noise: float = PET_NOISE) -> Volume:
    """Distribution volume ratio of [11C]PIB, (X, Y, Z) float32, 0 outside the brain.

    Args:
        brain: what to render.
        rng: draws the deviation of the scan from the table, and the noise.
        noise: standard deviation of the noise, which is as smooth as the image.
    """
    sigma = PET_FWHM_MM / FWHM / brain.spacing
    image = ndimage.gaussian_filter(_map(brain, PIB, rng), sigma)
    grain = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), sigma)
    return np.maximum(image + np.float32(noise / grain.std()) * grain, 0) * brain.mask


def _map(brain: Microstructure, quantity: Quantity, rng: np.random.Generator) -> Volume:
    """Map of a quantity without blur and noise: the values of the compartments weighted by their shares."""
    white = quantity.white + quantity.no_myelin * (1 - brain.myelin)
    white += quantity.water * brain.water + quantity.coherence * brain.coherence
    grey = quantity.grey + quantity.no_myelin * (1 - brain.grey_myelin)
    image = brain.white * white + brain.grey * grey + (1 - brain.white - brain.grey) * quantity.fluid
    return (1 + quantity.spread * random_deviation(rng)) * image
