"""Data consistency: a magnitude image that agrees with the measured samples of its k-space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from common.errors import DataError
from common.simulation.corruptions.kspace import (
    Complex,
    Magnitude,
    combined,
    estimated_sensitivities,
    low_resolution,
    to_image,
    to_kspace,
)
from common.simulation.corruptions.masks import Mask


def data_consistency(magnitude: ArrayLike, kspace: Complex, mask: Mask) -> Magnitude:
    """A magnitude image that agrees with the measured samples, (..., rows, columns).

    The magnitude gets the phase of the image of low resolution, its coil images are transformed, measured samples are
    put in, and what results is transformed back and combined (Schlemper et al. 2018, IEEE Trans Med Imaging 37:491,
    equation 5, without noise). The phase of the zero-filled image would have its aliases. With several coils the
    combined image agrees with the samples as far as the sensitivities do, which the middle of k-space gives.

    Args:
        magnitude: (..., rows, columns), such as a network's output, in the grey scale of the k-space.
        kspace: measured samples (..., coils, rows, columns), 0 elsewhere.
        mask: (rows, columns).

    Raises:
        DataError: shapes do not fit.
    """
    given = np.asarray(magnitude)
    if kspace.shape[-2:] != mask.shape or given.shape != (*kspace.shape[:-3], *mask.shape):
        wanted = (*kspace.shape[:-3], *kspace.shape[-2:])
        fault = f"the image has shape {given.shape} and the mask {mask.shape}, the images of the k-space {wanted}"
        raise DataError(fault, "give image and mask of this k-space")
    sensitivities = estimated_sensitivities(kspace, mask)
    phase = np.angle(combined(low_resolution(kspace, mask), sensitivities))
    image = given * np.exp(1j * phase)
    return np.abs(combined(consistent(image[..., None, :, :] * sensitivities, kspace, mask), sensitivities))


def consistent(images: Complex, kspace: Complex, mask: Mask) -> Complex:
    """Complex coil images (..., coils, rows, columns) whose measured samples are those of a k-space.

    Args: see :func:`data_consistency`.
    """
    return to_image(np.where(mask, kspace, to_kspace(images)))
