"""CT rendering of a head phantom in Hounsfield units, with and without contrast medium; ``mr.py`` renders MR.

Each renderer combines a table of tissue values (``tissues.py``), an equation, partial volume, blur and noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import ndimage

from .grid import Volume, smooth_noise, to_voxels
from .head import Anatomy, partial_volume
from .tissues import HOUNSFIELD, TISSUES, random_deviation

CT_RANGE_HU = (-1024.0, 3071.0)
"""Range of the 12-bit values that scanners store, in HU."""

CT_BLUR_MM = 0.5
"""Standard deviation of the point spread function: a soft-tissue kernel of about 1.2 mm full width at half maximum."""

BONE_TEXTURE = 0.06
"""[chosen] relative standard deviation of bone density within one skull."""

ARTERY_HU = (210.0, 400.0)
"""Arterial enhancement by iodine: with the 43 HU of blood, the 250 to 450 HU that are usual in CT angiography."""

VEIN_SHARE = (0.55, 0.9)
"""[chosen] enhancement of veins and sinuses relative to that of the arteries, which fill first."""

PERFUSED_HU = {"grey": (3.5, 6.5), "white": (1.0, 3.0), "dura": (10.0, 30.0)}
"""[chosen] tissue enhancement by iodine. Grey matter holds twice the blood volume of white matter (5.4 and 2.6 ml per
100 g, Li et al. 2021), whose capillaries and venules are partly filled. The dura has no blood-brain barrier. Choroid
plexus, mucosa and muscle do not enhance."""


def render_ct(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float = 8.0) -> Volume:
    """CT of an anatomy in HU, (X, Y, Z) float32 in [-1024, 3071].

    Tissues differ between cases by the spread of ``HOUNSFIELD``; bone density also varies within a skull. The noise is
    Gaussian, smoothed by the reconstruction kernel and rescaled to the standard deviation ``noise_hu``.
    """
    plain = ct_signal(anatomy, *ct_person(rng, names=anatomy.fractions))
    ct: Volume = np.clip(plain + ct_noise(anatomy, rng, noise_hu), *CT_RANGE_HU)
    return ct


def render_ct_pair(
    anatomy: Anatomy, rng: np.random.Generator, noise_hu: float = 8.0, plain: Anatomy | None = None
) -> tuple[Volume, Volume]:
    """CT of one person with and without contrast medium in HU, each (X, Y, Z) float32 in [-1024, 3071].

    Both have the same HU of each tissue and the same bone texture. The second equals the result of ``render_ct`` for
    the same ``rng``; the first adds the enhancement of vessels (``ARTERY_HU``, ``VEIN_SHARE``) and of tissue
    (``PERFUSED_HU``).

    Args:
        anatomy: the head with contrast medium.
        rng: draws the person, the noise and the enhancement.
        noise_hu: standard deviation of the noise.
        plain: the same head in its position of the scan without contrast medium; by default it did not move.
    """
    person = ct_person(rng, names=anatomy.fractions)
    noise = ct_noise(anatomy, rng, noise_hu)
    enhanced = ct_signal(anatomy, *person)
    ct = (enhanced if plain is None else ct_signal(plain, *person)) + noise
    enhanced = enhanced + _enhancement(anatomy, rng)
    cect = enhanced + ct_noise(anatomy, rng, noise_hu)
    return np.clip(cect, *CT_RANGE_HU), np.clip(ct, *CT_RANGE_HU)


def ct_person(
    rng: np.random.Generator, spread: float = 1.0, names: Iterable[str] = TISSUES
) -> tuple[dict[str, float], Volume]:
    """Properties shared by all CT of one person: HU of the tissues, and relative bone density on the nodes.

    Args:
        rng: draws both.
        spread: factor on the spread of ``HOUNSFIELD`` between people.
        names: of the tissues, those of the anatomy.
    """
    values = {name: HOUNSFIELD[name].mean + spread * HOUNSFIELD[name].spread * random_deviation(rng) for name in names}
    return values, np.float32(BONE_TEXTURE) * smooth_noise(rng, 12.0)


def ct_signal(anatomy: Anatomy, values: dict[str, float], density: Volume) -> Volume:
    """Noise-free CT of a person (see :func:`ct_person`) in HU, (X, Y, Z)."""
    image = partial_volume(anatomy, values)
    texture = to_voxels(density, image.shape, anatomy.spacing, *anatomy.motion)
    for name in ("skull", "marrow"):
        image += np.float32(values[name]) * anatomy.fractions[name] * texture
    blurred: Volume = ndimage.gaussian_filter(image, CT_BLUR_MM / anatomy.spacing)
    return blurred


def _enhancement(anatomy: Anatomy, rng: np.random.Generator) -> Volume:
    artery = rng.uniform(*ARTERY_HU)
    vein = artery * rng.uniform(*VEIN_SHARE)
    return enhancement(anatomy, artery, vein, {name: rng.uniform(*limits) for name, limits in PERFUSED_HU.items()})


def enhancement(anatomy: Anatomy, artery: float, vein: float, perfused: Mapping[str, float]) -> Volume:
    """Enhancement of each voxel by iodine in HU, (X, Y, Z) float32.

    Args:
        anatomy: of the head with contrast medium.
        artery: enhancement of arterial blood, in HU.
        vein: enhancement of venous blood, in HU.
        perfused: enhancement of tissues in HU, by their names in ``TISSUES``.
    """
    added = anatomy.fractions["vessel"] * np.asarray(artery + (vein - artery) * anatomy.veins, np.float32)
    for name, hu in perfused.items():
        added += np.float32(hu) * anatomy.fractions[name]
    blurred: Volume = ndimage.gaussian_filter(added, CT_BLUR_MM / anatomy.spacing)
    return blurred


def ct_noise(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float) -> Volume:
    """Gaussian noise with the texture of the kernel and the standard deviation ``noise_hu``, (X, Y, Z)."""
    shape = anatomy.fractions["background"].shape
    noise: Volume = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), CT_BLUR_MM / anatomy.spacing)
    noise *= np.float32(noise_hu / noise.std())
    return noise
