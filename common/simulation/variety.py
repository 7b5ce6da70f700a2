"""Anatomical variation beyond shape: atrophy, larger lesions, skull stripping and defacing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .grid import smooth_noise, to_voxels
from .head import Anatomy
from .physics import Range, drawn

LESION_GRAIN_MM = (6.0, 14.0)
"""[chosen] smoothness of the field whose peaks become lesions: single to confluent plaques."""

STRIPPED_MARGIN_MM = 4.0
"""Largest margin of fluid that a skull-stripping tool leaves around the brain."""


@dataclass(frozen=True)
class Variety:
    """Random changes of a head's anatomy, each drawn once per case.

    Args:
        atrophy: replacement of grey matter by fluid in the sulci; 0 is none, at 1 a grey fraction of 1/2 falls to 1/4.
        plaques: whether to keep the plaques that three in four heads have; otherwise they become white matter.
        lesion_probability: probability of additional lesions in white matter.
        lesion_share: share of the white matter that these replace (up to 5% in the patients of Lesjak et al. 2017).
        stripped_probability: probability of skull stripping.
        defaced_probability: probability of defacing.
    """

    atrophy: Range = (0.0, 0.8)
    plaques: bool = True
    lesion_probability: float = 0.5
    lesion_share: Range = (0.0, 0.06)
    stripped_probability: float = 0.25
    defaced_probability: float = 0.1

    def __call__(self, anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
        """Anatomy with changed tissue fractions, which still sum to 1 in every voxel."""
        anatomy = shrunk(anatomy, drawn(self.atrophy, rng.random(), "atrophy"))
        if not self.plaques:
            anatomy = healed(anatomy)
        share = drawn(self.lesion_share, rng.random(), "lesion_share")
        if rng.random() < self.lesion_probability:
            anatomy = with_lesions(anatomy, rng, share)
        kind = rng.random()
        if kind < self.stripped_probability:
            return kept(anatomy, brain_mask(anatomy, rng.uniform(0, STRIPPED_MARGIN_MM)))
        if kind < self.stripped_probability + self.defaced_probability:
            return kept(anatomy, ~face(anatomy, rng))
        return anatomy


def shrunk(anatomy: Anatomy, atrophy: float) -> Anatomy:
    """Atrophy: grey matter to the power ``1 + atrophy``; the loss becomes fluid, which opens the sulci."""
    grey = anatomy.fractions["grey"]
    left = np.power(grey, np.float32(1 + atrophy))
    changed = {"grey": left, "csf": anatomy.fractions["csf"] + grey - left}
    return replace(anatomy, fractions={**anatomy.fractions, **changed})


def healed(anatomy: Anatomy) -> Anatomy:
    """Anatomy with all lesions replaced by white matter."""
    white, lesion = anatomy.fractions["white"], anatomy.fractions["lesion"]
    return replace(anatomy, fractions={**anatomy.fractions, "white": white + lesion, "lesion": np.zeros_like(lesion)})


def with_lesions(anatomy: Anatomy, rng: np.random.Generator, share: float) -> Anatomy:
    """Anatomy with this share of the white matter replaced by lesions, where a smooth random field is highest."""
    white = anatomy.fractions["white"]
    field = to_voxels(smooth_noise(rng, rng.uniform(*LESION_GRAIN_MM)), white.shape, anatomy.spacing, *anatomy.motion)
    inside = white > 0.8
    if not inside.any() or not share:
        return anatomy
    edge = np.float32(0.1)  # of the field, over which a lesion fades into its surroundings
    fraction = np.clip((field - np.quantile(field[inside], 1 - share)) / edge + np.float32(0.5), 0, 1) * white
    fractions = {**anatomy.fractions, "white": white - fraction, "lesion": anatomy.fractions["lesion"] + fraction}
    return replace(anatomy, fractions=fractions)


def brain_mask(anatomy: Anatomy, margin_mm: float) -> NDArray[np.bool_]:
    """Mask (X, Y, Z) of the brain with the fluid around it up to a margin."""
    parts = anatomy.fractions
    tissue = parts["grey"] + parts["white"] + parts["lesion"] > 0.4
    regions, _ = ndimage.label(tissue)
    brain: NDArray[np.bool_] = regions == np.bincount(regions[tissue]).argmax()
    steps = max(1, round((margin_mm + 6.0) / anatomy.spacing))
    wide = ndimage.binary_dilation(brain, iterations=steps)
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(wide) * anatomy.spacing
    return (depth > 6.0) | brain


def face(anatomy: Anatomy, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask (X, Y, Z) of the face: in front of and below an oblique plane before the brain."""
    ahead, below = rng.uniform(62, 75), rng.uniform(-35, -20)
    shape = anatomy.fractions["grey"].shape
    y, z = (anatomy.affine[axis, 3] + anatomy.spacing * np.arange(shape[axis]) for axis in (1, 2))
    plane = (y - ahead)[:, None] * 0.6 - (z - below)[None, :] * 0.8 > -18.0
    low = z < below + 25
    return np.broadcast_to(plane & low[None, :] & (y > 20)[:, None], shape)


def kept(anatomy: Anatomy, inside: NDArray[np.bool_]) -> Anatomy:
    """Anatomy with everything outside the mask replaced by air."""
    share = inside.astype(np.float32)
    fractions = {name: part * share for name, part in anatomy.fractions.items()}
    return replace(anatomy, fractions={**fractions, "background": fractions["background"] + 1 - share})
