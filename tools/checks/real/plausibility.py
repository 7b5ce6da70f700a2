"""Plausibility of a synthetic head CT without a true CT: where tissues are, and whether bone closes."""

from __future__ import annotations

import numpy as np
from monai.data.utils import affine_to_spacing
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from scipy import ndimage

from common.simulation.template import LATERAL_VENTRICLES, brain_maps, ellipsoids, sample_brain

BONE_HU = 250.0
PURE = 0.9
"""Of a tissue by the ICBM152 maps; mixtures say little about it."""


def tissue_masks(shape: tuple[int, ...], affine: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Where the fluid of the ventricles, white and grey matter and brain are in a volume in template space."""
    points = np.moveaxis(apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1)), -1, 0).astype(np.float32)
    grey_map, white_map, map_affine = brain_maps(0.0)
    grey, white = (sample_brain(part, map_affine, points) for part in (grey_map, white_map))
    fluid = (1 - grey - white > PURE) & (ellipsoids(LATERAL_VENTRICLES, points) < 0)
    return {"csf": fluid, "white": white > PURE, "grey": grey > PURE, "brain": grey + white > 0.5}


def enclosed(ct: NDArray[np.float32], brain: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """How much of the brain bone closes around in axial slices, from the orbits up to 10 mm under the top."""
    height = affine_to_spacing(affine)[2]
    levels = np.flatnonzero(brain.any(axis=(0, 1)))
    chosen = levels[len(levels) // 2 : len(levels) - round(10 / float(height))]
    closed = [ndimage.binary_fill_holes(ct[:, :, z] > BONE_HU)[brain[:, :, z]].mean() for z in chosen]
    return float(np.mean(closed))
