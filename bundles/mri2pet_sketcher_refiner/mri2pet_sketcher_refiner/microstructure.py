"""Microstructure phantom of brains with multiple sclerosis and of controls: tissue, myelin, water, fibre coherence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.simulation.deformation import template_points
from common.simulation.grid import Volume, smooth_noise, to_voxels
from common.simulation.head import head_anatomy
from common.simulation.template import BRAIN_FLOOR_MM, sample, template
from mri2pet_sketcher_refiner.plaques import Plaques, plaques

REGIONAL_MYELIN = 0.04
"""[chosen] standard deviation of the myelin content over a healthy brain."""

DIFFUSE_DEMYELINATION = (0.03, 0.11)
"""Range of myelin loss throughout a patient's brain. Normal-appearing white matter holds 0.25 of myelin by volume, that
of controls 0.27, plaques 0.17 (Yu et al. 2019): 7% less."""

DIFFUSE_WATER = (0.03, 0.15)
"""[chosen] range of water gain throughout a patient's brain, on the scale of ``plaques.WATER``."""

VENTRICULAR_GAIN = 1.0
"""[chosen] additional relative loss at the ventricles, towards which normal-appearing white matter is increasingly
abnormal (Brown et al. 2017)."""

MASK_MARGIN_MM = 1.0
STEM_MM = 3.0
"""Margin of the mask around the brain's envelope, and its distance from the template's lowest slice."""


@dataclass(frozen=True)
class Microstructure:
    """Tissue properties that determine the quantitative maps of one brain; maps (X, Y, Z) float32 unless stated.

    Attributes:
        mask: the brain with its inner and outer fluid, bool.
        white: share of white matter in a voxel, including plaques.
        grey: share of grey matter; the rest is fluid.
        lesion: share of plaques, at most ``white``.
        myelin: myelin content of the white matter relative to healthy white matter, 0 to about 1.1.
        water: excess water of the white matter by oedema and axonal loss, 0 to about 1.
        coherence: of the fibre directions in the white matter, mean 0, standard deviation 1, clipped to [-2, 2].
        grey_myelin: myelin content of the grey matter relative to healthy grey matter.
        affine: voxel indices to RAS mm, (4, 4).
        spacing: isotropic, in mm.
    """

    mask: NDArray[np.bool_]
    white: Volume
    grey: Volume
    lesion: Volume
    myelin: Volume
    water: Volume
    coherence: Volume
    grey_myelin: Volume
    affine: NDArray[np.float64]
    spacing: float


def brain_microstructure(seed: int, spacing: float, patient: bool) -> Microstructure:
    """Microstructure of the brain of a seed: the head of ``head_anatomy``, with new plaques or without plaques.

    The factors ``myelin`` and ``water`` are drawn independently, in plaques and around them.

    Args:
        seed: of all random parts; patient and control of a seed share head, fibres and regional myelin.
        spacing: isotropic, in mm.
        patient: whether to add plaques and diffuse changes.

    Raises:
        ConfigError: the spacing is outside 0.5 to 8 mm.
    """
    anatomy = head_anatomy(seed, spacing)
    shape = anatomy.head.shape
    # The first random draw of head_anatomy: the template coordinates of the head's nodes.
    sources = template_points(np.random.default_rng(seed), template())
    points = np.stack([to_voxels(axis, shape, spacing) for axis in sources])
    envelope = sample(template().brain, points) < MASK_MARGIN_MM
    rng = np.random.default_rng((seed, 0))

    def field(smoothness_mm: float) -> Volume:
        return to_voxels(smooth_noise(rng, smoothness_mm), shape, spacing)

    regional, coherence = np.float32(REGIONAL_MYELIN) * field(15.0), field(12.0)
    water = np.maximum(np.float32(0.04) * (1 + field(15.0)), 0)
    lost: Volume = np.zeros(shape, np.float32)
    spots = Plaques(lost, lost, lost)
    if patient:
        ventricles = np.linalg.norm([sample(axis, points) for axis in template().to_ventricles], axis=0)
        near = (1 + VENTRICULAR_GAIN * ventricles).astype(np.float32)
        lost = np.float32(rng.uniform(*DIFFUSE_DEMYELINATION)) * near * np.maximum(1 + 0.6 * field(15.0), 0)
        water += np.float32(rng.uniform(*DIFFUSE_WATER)) * near * np.maximum(1 + 0.8 * field(15.0), 0)
        spots = plaques(rng, sources, shape, anatomy.affine)
    white = anatomy.fractions["white"] + anatomy.fractions["lesion"]
    diffuse = 1 + regional - lost
    return Microstructure(
        mask=envelope & (points[2] > BRAIN_FLOOR_MM + STEM_MM),
        white=white,
        grey=anatomy.fractions["grey"],
        lesion=spots.extent * white,
        myelin=np.maximum(diffuse - spots.extent * np.maximum(spots.demyelination - lost, 0), 0),
        water=water + spots.extent * np.maximum(spots.water - water, 0),
        coherence=coherence,
        grey_myelin=diffuse,
        affine=anatomy.affine,
        spacing=spacing,
    )
