"""Data consistency: a magnitude image that agrees with the measured samples of its k-space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from common.errors import ConfigError, DataError
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


def data_consistency(
    magnitude: ArrayLike,
    kspace: Complex,
    mask: Mask,
    sensitivities: Complex | None = None,
    weight: float | None = None,
) -> Magnitude:
    """A magnitude image that agrees with the measured samples, (..., rows, columns).

    The magnitude gets the phase of the image of low resolution, its coil images are transformed, measured samples are
    put in or weighted in, and what results is transformed back and combined (Schlemper et al. 2018, IEEE Trans Med
    Imaging 37:491, equation 5). The phase of the zero-filled image would have its aliases. With several coils the
    combined image agrees with the samples as far as the sensitivities do.

    Args:
        magnitude: (..., rows, columns), such as a network's output, in the grey scale of the k-space.
        kspace: measured samples (..., coils, rows, columns), 0 elsewhere.
        mask: (rows, columns).
        sensitivities: (..., coils, rows, columns); estimated from the middle of k-space unless given.
        weight: of measured samples over 1 for those of the image; None for measured ones alone, as without noise.

    Raises:
        DataError: shapes do not fit.
        ConfigError: ``weight`` is negative.
    """
    given = np.asarray(magnitude)
    if kspace.shape[-2:] != mask.shape or given.shape != (*kspace.shape[:-3], *mask.shape):
        wanted = (*kspace.shape[:-3], *kspace.shape[-2:])
        fault = f"the image has shape {given.shape} and the mask {mask.shape}, the images of the k-space {wanted}"
        raise DataError(fault, "give image and mask of this k-space")
    if weight is not None and not weight >= 0:
        raise ConfigError(f"weight is {weight}, below 0", "pass null for measured samples alone")
    if sensitivities is None:
        sensitivities = estimated_sensitivities(kspace, mask)
    phase = np.angle(combined(low_resolution(kspace, mask), sensitivities))
    image = given * np.exp(1j * phase)
    return np.abs(combined(consistent(image[..., None, :, :] * sensitivities, kspace, mask, weight), sensitivities))


def consistent(images: Complex, kspace: Complex, mask: Mask, weight: float | None = None) -> Complex:
    """Complex coil images (..., coils, rows, columns) whose measured samples are, or are drawn to, those of a k-space.

    Args: see :func:`data_consistency`.
    """
    own = to_kspace(images)
    put = kspace if weight is None else (own + weight * kspace) / (1 + weight)
    return to_image(np.where(mask, put, own))
