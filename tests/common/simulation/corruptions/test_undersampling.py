"""Undersampling: the grey scale, the direction of aliases, and settings that are refused."""

import numpy as np
import pytest
from kspace_phantom import head
from scipy.ndimage import gaussian_filter

from common.errors import ConfigError
from common.simulation.corruptions.masks import MASKS
from common.simulation.corruptions.undersampling import Undersampled

SPACING = (1.0, 1.0, 1.0)


@pytest.mark.parametrize("mask", MASKS)
def test_undersampling_keeps_grid_and_grey_scale_and_zero_slices(mask):
    volume = gaussian_filter(head((48, 56, 4)), (2, 2, 0))
    for coils, noise in ((1, 0.0), (4, 0.02)):
        degraded = Undersampled(mask, 3, coils=coils, noise=noise)(volume, SPACING, np.random.default_rng(0))
        assert degraded.shape == volume.shape
        assert degraded.dtype == np.float32
        assert np.isfinite(degraded).all()
        inside = volume > 300
        assert degraded[inside].mean() == pytest.approx(volume[inside].mean(), rel=0.035)  # the rest is in aliases
        assert np.abs(degraded - volume)[inside].mean() > 3
        assert degraded[..., 0].max() == 0 if noise == 0 else 0 < degraded[..., 0].mean() < 40
    again = Undersampled(mask, 3, coils=4, noise=0.02)(volume, SPACING, np.random.default_rng(0))
    np.testing.assert_array_equal(again, degraded)
    assert not Undersampled(mask, 3)(np.zeros((16, 16, 2)), SPACING, np.random.default_rng(0)).any()


def test_aliases_run_along_the_phase_encoding_of_the_plane():
    """Left-right of axial and coronal slices, posterior-anterior of sagittal ones; the other axis stays sharp."""
    for plane, along, across in (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)):
        bar = np.zeros((32, 32, 32))
        bar[12:20, 12:20, 12:20] = 100
        wrong = np.abs(Undersampled("equispaced", 4, plane=plane)(bar, SPACING, np.random.default_rng(0)) - bar)
        outside = [slice(12, 20)] * 3
        outside[along] = slice(22, None)
        besides = [slice(12, 20)] * 3
        besides[across] = slice(22, None)
        assert wrong[tuple(outside)].mean() > 5
        assert wrong[tuple(besides)].max() < 0.01


def test_every_second_column_of_one_coil_is_an_image_and_its_alias_half_a_field_of_view_away():
    """By hand: half of the samples of k-space, those of even index, are the mean of the image and its shifted self."""
    volume = gaussian_filter(np.random.default_rng(0).random((16, 16, 2)), (1, 1, 0))
    degraded = Undersampled("equispaced", 2, 0, largest_phase=0)
    scan = degraded.scan(volume, np.random.default_rng(1))
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(volume.transpose(2, 1, 0), (1, 2)), norm="ortho"), (1, 2))
    np.testing.assert_allclose(scan.kspace[:, 0], np.where(scan.mask, spectrum, 0), atol=1e-5)
    assert scan.mask.all(axis=0).sum() == scan.mask.any(axis=0).sum() == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": -0.1}, "--noise is -0.1, not 0 or more"),
        ({"coils": 0}, "--coils is 0, not a whole number above 0"),
        ({"largest_phase": -1}, "--largest_phase is -1, not 0 or more radians"),
        ({"plane": "oblique"}, "--plane is 'oblique'"),
        ({"acceleration": 0.5}, "--acceleration is 0.5, not above 1"),
    ],
)
def test_settings_out_of_range_of_undersampling(settings, message):
    with pytest.raises(ConfigError, match=message):
        Undersampled(**settings)
