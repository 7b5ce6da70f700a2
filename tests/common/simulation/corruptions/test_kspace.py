"""K-space of slices: transforms, simulated phase and coils, zero-filled images."""

import numpy as np
import pytest
from kspace_phantom import SHAPE, WHOLE, scanned, truth

from common.errors import ConfigError
from common.simulation.corruptions.kspace import (
    combined,
    estimated_sensitivities,
    measured,
    measured_middle,
    simulated_phase,
    simulated_sensitivities,
    to_image,
    to_kspace,
    zero_filled,
)
from common.simulation.corruptions.masks import sampling_mask


def test_transforms_are_centred_orthonormal_and_inverse():
    image = np.random.default_rng(0).normal(size=(3, 7, 8)) * (1 + 2j)
    kspace = to_kspace(image)
    shifted = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, (1, 2)), norm="ortho"), (1, 2))
    np.testing.assert_allclose(kspace, shifted)
    np.testing.assert_allclose(to_image(kspace), image)
    assert to_kspace(np.ones((6, 8)))[3, 4] == pytest.approx(np.sqrt(48))
    assert to_kspace(image.astype(np.complex64)).dtype == np.complex64


def test_simulated_phase_and_sensitivities_are_smooth_and_normalised():
    phase = simulated_phase(SHAPE, 1.5, np.random.default_rng(0))
    assert np.abs(phase).max() == pytest.approx(1.5)
    assert np.abs(np.diff(phase, axis=0)).max() < 0.4
    assert not simulated_phase(SHAPE, 0, np.random.default_rng(0)).any()
    sensitivities = simulated_sensitivities(SHAPE, 5, np.random.default_rng(0))
    np.testing.assert_allclose((np.abs(sensitivities) ** 2).sum(0), 1)
    assert len({int(np.abs(each).argmax()) for each in sensitivities}) == 5  # each coil at its place
    with pytest.raises(ConfigError, match="--coils is 2.5, not a whole number above 0"):
        simulated_sensitivities(SHAPE, 2.5, np.random.default_rng(0))


def test_noise_has_one_standard_deviation_in_k_space_and_image():
    noise = measured(np.zeros(SHAPE), np.ones((1, *SHAPE)), WHOLE, 7.0, np.random.default_rng(0))
    assert noise.real.std() == pytest.approx(7, rel=0.05)
    assert to_image(noise).imag.std() == pytest.approx(7, rel=0.05)


@pytest.mark.parametrize("coils", [1, 6])
def test_whole_k_space_gives_the_truth_by_every_way_to_combine(coils):
    kspace, sensitivities = scanned(coils, WHOLE)
    for image in (zero_filled(kspace, WHOLE), np.abs(combined(to_image(kspace), sensitivities))):
        np.testing.assert_allclose(image, truth(), atol=1e-6)


def test_estimated_sensitivities_are_the_true_ones_where_there_is_signal():
    mask = sampling_mask("equispaced", SHAPE, 2.5, 0.2)
    kspace, sensitivities = scanned(6, mask)
    assert measured_middle(mask) == (10, 8)
    found = estimated_sensitivities(kspace, mask)
    overlap = np.abs(combined(found, sensitivities))[truth() > 100]
    assert np.median(overlap) > 0.99
    even = estimated_sensitivities(np.zeros((4, *SHAPE)), mask)
    np.testing.assert_allclose(even, 0.5)
