"""Data consistency: a magnitude image that agrees with the measured samples of its k-space."""

from __future__ import annotations

import numpy as np

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


def data_consistency(magnitude: Magnitude, kspace: Complex, mask: Mask) -> Magnitude:
    """A magnitude image (rows, columns) that agrees with the measured samples.

    The magnitude gets the phase of the image of low resolution, its coil images are transformed, measured samples are
    put in, and what results is transformed back and combined (Schlemper et al. 2018, IEEE Trans Med Imaging 37:491,
    equation 5, without noise). The phase of the zero-filled image would have its aliases. With several coils the
    combined image agrees with the samples as far as the sensitivities do, which the middle of k-space gives.

    Args:
        magnitude: (rows, columns), such as a network's output, in the grey scale of the k-space.
        kspace: measured samples (coils, rows, columns), 0 elsewhere.
        mask: (rows, columns).
    """
    sensitivities = estimated_sensitivities(kspace, mask)
    phase = np.angle(combined(low_resolution(kspace, mask), sensitivities))
    completed = np.where(mask, kspace, to_kspace(magnitude * np.exp(1j * phase) * sensitivities))
    return np.abs(combined(to_image(completed), sensitivities))
