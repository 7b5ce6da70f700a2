"""What a CT scanner would show of an anatomy, in Hounsfield units; ``render_mr.py`` is the same for MR.

Each renderer is a table (``tissues.py``), an equation, partial volume, blur and noise; other contrasts are further such
functions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from common.phantoms.grid import Volume, smooth_noise, to_voxels
from common.phantoms.head import Anatomy, partial_volume
from common.phantoms.tissues import HOUNSFIELD, TISSUES, random_deviation

CT_RANGE_HU = (-1024.0, 3071.0)
"""What twelve bits hold, as scanners store it."""

CT_BLUR_MM = 0.5
"""Standard deviation of the CT's point spread: a soft-tissue kernel of about 1.2 mm full width at half maximum."""

BONE_TEXTURE = 0.06
"""[chosen] relative standard deviation of the density of bone within one skull."""

ARTERY_HU = (210.0, 400.0)
"""What iodine adds to arterial blood: with its own 43 HU the 250 to 450 HU that are usual in CT angiography."""

VEIN_SHARE = (0.55, 0.9)
"""[chosen] enhancement of veins and sinuses relative to the arteries', which fill first."""

PERFUSED_HU = {"grey": (3.5, 6.5), "white": (1.0, 3.0), "dura": (10.0, 30.0)}
"""[chosen] what iodine adds to tissue. Grey holds twice the blood of white matter (5.4 and 2.6 ml in 100 g, Li et al.
2021), of which the capillaries and venules have filled in part. The dura has no barrier. Choroid plexus, mucosa and
muscle are left as they are."""


def render_ct(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float = 8.0) -> Volume:
    """CT of an anatomy in HU, (X, Y, Z) float32 in [-1024, 3071].

    Tissues differ between cases by the spread of ``HOUNSFIELD``; bone also varies within a skull. The noise is
    Gaussian, smoothed by the reconstruction kernel and then of standard deviation ``noise_hu``.
    """
    plain = ct_signal(anatomy, *ct_person(rng))
    ct: Volume = np.clip(plain + ct_noise(anatomy, rng, noise_hu), *CT_RANGE_HU)
    return ct


def render_cect(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float = 8.0) -> Volume:
    """Contrast-enhanced CT of an anatomy in HU, (X, Y, Z) float32 in [-1024, 3071]: the first of ``render_ct_pair``."""
    return render_ct_pair(anatomy, rng, noise_hu)[0]


def render_ct_pair(
    anatomy: Anatomy,
    rng: np.random.Generator,
    noise_hu: float = 8.0,
    plain: Anatomy | None = None,
    same_noise: bool = False,
) -> tuple[Volume, Volume]:
    """CT of one person with and without contrast medium in HU, each (X, Y, Z) float32 in [-1024, 3071].

    Both have the same HU of each tissue and the same texture of bone. The second is what ``render_ct`` gives for the
    same ``rng``; the first adds iodine to vessels (``ARTERY_HU``, ``VEIN_SHARE``) and tissue (``PERFUSED_HU``).

    Args:
        anatomy: the head with contrast medium.
        rng: draws the person, the noise and the enhancement.
        noise_hu: standard deviation of the noise.
        plain: the same head as it lay in the scan without contrast medium; by default it did not move.
        same_noise: give both the same noise, so that their difference is the enhancement alone.
    """
    person = ct_person(rng)
    noise = ct_noise(anatomy, rng, noise_hu)
    enhanced = ct_signal(anatomy, *person)
    ct = (enhanced if plain is None else ct_signal(plain, *person)) + noise
    enhanced = enhanced + _enhancement(anatomy, rng)
    cect = enhanced + (noise if same_noise else ct_noise(anatomy, rng, noise_hu))
    return np.clip(cect, *CT_RANGE_HU), np.clip(ct, *CT_RANGE_HU)


def ct_person(rng: np.random.Generator, spread: float = 1.0) -> tuple[dict[str, float], Volume]:
    """What all CT of one person share: HU of the tissues, and the relative density of the bone on the nodes.

    Args:
        rng: draws both.
        spread: factor on the spread of ``HOUNSFIELD`` between people.
    """
    values = {
        name: HOUNSFIELD[name].mean + spread * HOUNSFIELD[name].spread * random_deviation(rng) for name in TISSUES
    }
    return values, np.float32(BONE_TEXTURE) * smooth_noise(rng, 12.0)


def ct_signal(anatomy: Anatomy, values: dict[str, float], density: Volume) -> Volume:
    """CT without noise of a person (see :func:`ct_person`) in HU, (X, Y, Z)."""
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
    """What iodine adds to each voxel in HU, (X, Y, Z) float32.

    Args:
        anatomy: of the head with contrast medium.
        artery: what it adds to arterial blood, in HU.
        vein: to venous blood.
        perfused: to tissues, by their names in ``TISSUES``.
    """
    added = anatomy.fractions["vessel"] * np.asarray(artery + (vein - artery) * anatomy.veins, np.float32)
    for name, hu in perfused.items():
        added += np.float32(hu) * anatomy.fractions[name]
    blurred: Volume = ndimage.gaussian_filter(added, CT_BLUR_MM / anatomy.spacing)
    return blurred


def ct_noise(anatomy: Anatomy, rng: np.random.Generator, noise_hu: float) -> Volume:
    """Gaussian noise with the grain of the kernel and this standard deviation, (X, Y, Z)."""
    shape = anatomy.fractions["background"].shape
    noise: Volume = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), CT_BLUR_MM / anatomy.spacing)
    noise *= np.float32(noise_hu / noise.std())
    return noise
