"""Data consistency by its properties, the noise level of MR, and compressed sensing."""

from __future__ import annotations

import numpy as np
import pytest
from kspace_phantom import SHAPE, WHOLE, scanned, truth
from mri_dagan.classical import noise_level, tv_reconstruction
from mri_dagan.consistency import data_consistency
from scipy.ndimage import gaussian_filter
from skimage.data import shepp_logan_phantom
from skimage.transform import resize

from common.errors import DataError
from common.evaluation.filters import TotalVariation
from common.simulation.corruptions.kspace import zero_filled
from common.simulation.corruptions.masks import sampling_mask
from common.simulation.corruptions.noise import RicianNoise
from common.simulation.corruptions.undersampling import Undersampled


def error(image: np.ndarray) -> float:
    return float(np.linalg.norm(image - truth()) / np.linalg.norm(truth()))


@pytest.mark.parametrize("coils", [1, 6])
def test_whole_k_space_gives_the_truth_whatever_the_image(coils):
    kspace, _ = scanned(coils, WHOLE)
    image = data_consistency(np.random.default_rng(0).uniform(size=SHAPE), kspace, WHOLE)
    np.testing.assert_allclose(image, truth(), atol=1e-6)


@pytest.mark.parametrize("coils", [1, 6])
@pytest.mark.parametrize("kind", ["cartesian", "radial"])
def test_data_consistency_changes_little_of_the_truth_and_betters_what_is_wrong(coils, kind):
    mask = sampling_mask(kind, SHAPE, 3)
    kspace, _ = scanned(coils, mask, phase=0.8)
    start = error(zero_filled(kspace, mask))
    assert start > 0.1
    assert error(data_consistency(truth(), kspace, mask)) < start / 3
    blurred = gaussian_filter(truth(), 1.5)
    assert error(data_consistency(blurred, kspace, mask)) < 0.8 * error(blurred)


def test_measured_samples_are_put_into_the_transform_of_the_image():
    mask = sampling_mask("cartesian", SHAPE, 4)
    kspace, _ = scanned(1, mask, phase=0)
    np.testing.assert_allclose(data_consistency(truth(), kspace, mask), np.abs(truth()), atol=1e-6)
    image = gaussian_filter(truth(), 1.5)
    samples = np.where(mask, kspace[0], np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho")))
    expected = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(samples), norm="ortho")))
    np.testing.assert_allclose(data_consistency(image, kspace, mask), expected, atol=1e-6)


def phantom() -> np.ndarray:
    """The Shepp-Logan phantom, at most 1000, (64, 64)."""
    return 1000 * resize(shepp_logan_phantom(), (64, 64), order=1, anti_aliasing=True)


def test_the_noise_level_is_that_of_the_head():
    volume = np.zeros((40, 40, 4))
    volume[8:32, 8:32] = 500
    volume[12:20, 12:20] = 800
    noisy = RicianNoise(0.05)(volume, (1, 1, 1), np.random.default_rng(0))
    assert noise_level(noisy) == pytest.approx(40, rel=0.1)
    assert noise_level(7 * noisy) == pytest.approx(7 * noise_level(noisy), rel=1e-4)
    assert noise_level(volume) == 0
    assert noise_level(np.zeros((8, 8, 1))) == 0
    denoised = TotalVariation(noise_level)(noisy)
    assert denoised[22:30, 22:30].std() < 15
    with pytest.raises(DataError, match="MR has "):
        noise_level(volume - 500)


@pytest.mark.parametrize("coils", [1, 4])
def test_compressed_sensing_halves_the_error_of_the_zero_filled_image_at_4_times(coils):
    truth = phantom()
    undersampled = Undersampled("gaussian", 4, coils=coils, largest_phase=1)
    scanned = undersampled.scan(truth[..., None], np.random.default_rng(0))
    image = tv_reconstruction(scanned.kspace[0], scanned.mask)
    expected = truth.T  # columns of k-space are the first axis
    error, start = (np.linalg.norm(each - expected) for each in (image, zero_filled(scanned.kspace[0], scanned.mask)))
    assert error < 0.5 * start
