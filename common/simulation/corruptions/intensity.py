"""Changes of grey values: contrast, bias field, blur, brain extraction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ...transforms.head import head_mask
from ..grid import Volume, smooth_noise, to_voxels

SMOOTHNESS_MM = 45.0
"""Standard deviation of the Gaussian that smooths a bias field."""


def inverted(image: Volume, contrast: float) -> NDArray[Any]:
    """Image (X, Y, Z) with its contrast inverted inside the head, as of T2 against T1 weighting; the air stays dark.

    Args:
        image: in [0, 1].
        contrast: of the result over that of the image; the rest is the mean of the head.
    """
    head = head_mask(image, None, axial=2, case="image")
    turned = contrast * (1 - image) + (1 - contrast) * image.mean(where=head)
    return np.where(head, turned, image)


def bias_field(shape: tuple[int, ...], spacing_mm: float, percent: float, rng: np.random.Generator) -> Volume:
    """Smooth factor (X, Y, Z), as of a receive coil: the exponential of a random field.

    MONAI's ``RandBiasField`` and TorchIO's are exponentials of polynomials, whose largest values lie in the corners.

    Args:
        shape: of the volume.
        spacing_mm: of its voxels.
        percent: standard deviation of its logarithm on the nodes; over the field of view it is about 5/6 of that;
            BrainWeb's fields of 20 and 40 % have about 6 and 12.
        rng: draws the field, which is clipped to two standard deviations.
    """
    field: Volume = np.exp(np.float32(percent / 100) * to_voxels(smooth_noise(rng, SMOOTHNESS_MM), shape, spacing_mm))
    return field


def blurred(image: Volume, sigma_mm: float, spacing_mm: float | ArrayLike, reach: float = 3.0) -> Volume:
    """Image (X, Y, Z) blurred by a Gaussian point spread.

    Args:
        image: in any unit.
        sigma_mm: standard deviation of the Gaussian: its full width at half maximum over 2.355.
        spacing_mm: of the voxels, one or along each axis.
        reach: where the Gaussian is cut off, in standard deviations.
    """
    smooth: Volume = ndimage.gaussian_filter(image, sigma_mm / np.asarray(spacing_mm), truncate=reach)
    return smooth


def stripped(image: Volume, depth_mm: float, spacing: ArrayLike) -> NDArray[Any]:
    """Image (X, Y, Z) without scalp and skull: what lies near the surface of the head is as dark as air.

    Args:
        image: in [0, 1].
        depth_mm: of what is removed.
        spacing: along X, Y and Z in mm.
    """
    head = head_mask(image, None, axial=2, case="image")
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.where(depth > depth_mm, image, 0)
