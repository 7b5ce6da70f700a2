"""Undersampling, thick slices and Rician noise: their size, the grey scale, and volumes that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from mri_dagan.degradations import RicianNoise, ThickSlices, Undersampled, interpolated
from mri_dagan.masks import MASKS
from scipy.ndimage import gaussian_filter

from common.errors import ConfigError, DataError

SPACING = (1.0, 1.0, 1.0)


def head(shape: tuple[int, int, int] = (32, 40, 6)) -> np.ndarray:
    """An ellipsoid of 600 with a square of 900, in a scanner's grey scale; the first slice is empty."""
    places = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    volume = 600.0 * (sum((each / 0.8) ** 2 for each in places[:2]) + 0 * places[2] < 1)
    volume[12:18, 14:24] *= 1.5
    volume[..., 0] = 0
    return volume


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


def test_a_thick_slice_is_the_mean_of_its_thin_ones():
    volume = head((8, 8, 12)) * (1 + np.arange(12) % 3)
    thick = ThickSlices(3, profile="box")(volume, SPACING, np.random.default_rng(0))
    means = volume.reshape(8, 8, 4, 3).mean(-1)
    np.testing.assert_allclose(thick[..., 1::3], means, rtol=1e-5)
    np.testing.assert_allclose(thick[..., 0], means[..., 0], rtol=1e-5)  # nothing is extrapolated
    gapped = ThickSlices(2, gap=2, profile="box")(volume, SPACING, np.random.default_rng(0))
    assert gapped.shape == volume.shape
    # slices of 2 mm, 4 mm apart: of the thin ones 1 and 2, 5 and 6, 9 and 10; the middle of the second is at 5.5
    between = interpolated(
        np.stack([volume[..., i : i + 2].mean(-1) for i in (1, 5, 9)], -1), np.array([1.5, 5.5, 9.5]), np.arange(12), 2
    )
    np.testing.assert_allclose(gapped, between, atol=1e-3)


def test_the_gaussian_profile_has_the_thickness_as_its_width():
    """A step seen by a slice of Gaussian profile is the error function, 0.5 at the step."""
    volume = np.zeros((2, 2, 200))
    volume[..., 100:] = 100
    rows = ThickSlices(8, profile="gaussian")._weights(np.abs(np.arange(200) - np.array([[99.5], [103.5]])), 1.0)
    seen = rows @ volume[0, 0]
    assert seen[0] == pytest.approx(50)
    assert seen[1] == pytest.approx(88.05, abs=0.1)  # Phi(4 / (8 / 2.3548)) = Phi(1.1774)


def test_cubic_interpolation_gives_back_a_cubic_and_stays_in_range():
    places, centres = np.linspace(0, 6, 13), np.arange(7.0)
    cubic = (centres - 3) ** 3 + 50
    np.testing.assert_allclose(interpolated(cubic[None, None], centres, places, 2)[0, 0], (places - 3) ** 3 + 50)
    step = np.where(centres > 2, 100.0, 0.0)[None, None]
    made = interpolated(step, centres, places, 2)
    assert made.min() == 0
    assert made.max() == 100


def test_rician_noise_has_the_moments_of_its_distribution():
    """In air the mean is sqrt(pi / 2) sigma; at 10 sigma the standard deviation is sigma."""
    volume = np.zeros((40, 40, 10))
    volume[20:] = 500
    noisy = RicianNoise(0.1)(volume, SPACING, np.random.default_rng(0))
    assert noisy[:20].mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.02)
    assert noisy[20:].std() == pytest.approx(50, rel=0.03)
    assert noisy[20:].mean() == pytest.approx(500 + 50**2 / (2 * 500), rel=0.005)


@pytest.mark.parametrize("degradation", [Undersampled(), ThickSlices(2), RicianNoise()])
def test_volumes_that_are_no_magnitude_are_refused(degradation):
    rng, volume = np.random.default_rng(0), head((16, 16, 8))
    for phase in (rng.uniform(-np.pi, np.pi, volume.shape), rng.integers(-4096, 4096, volume.shape), volume - 1024):
        with pytest.raises(DataError, match="MR: is a magnitude image, without negative values but those of interpol"):
            degradation(phase, SPACING, rng)
    with pytest.raises(DataError, match="complex values; give their absolute value"):
        degradation(volume * 1j, SPACING, rng)
    with pytest.raises(DataError, match="is finite everywhere"):
        degradation(np.where(volume > 0, np.nan, 0), SPACING, rng)
    with pytest.raises(DataError, match="one volume"):
        degradation(volume[..., None], SPACING, rng)
    assert np.isfinite(degradation(volume - 0.05 * volume.max(), SPACING, rng)).all()  # as of a sinc


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Undersampled(noise=-0.1), "noise: is a standard deviation"),
        (lambda: Undersampled(coils=0), "coils: is a whole number above 0"),
        (lambda: Undersampled(largest_phase=-1), "largest_phase: is an angle in radians"),
        (lambda: Undersampled(plane="oblique"), "plane: is one of"),
        (lambda: Undersampled(acceleration=0.5), "acceleration: is a number above 1"),
        (lambda: ThickSlices(0), "thickness: is a number of mm above 0"),
        (lambda: ThickSlices(gap=-1), "gap: is a number of mm, at least 0"),
        (lambda: ThickSlices(profile="sinc"), "profile: is one of gaussian, box"),
        (lambda: RicianNoise(0), "level: is a standard deviation over the robust maximum, above 0"),
    ],
)
def test_settings_out_of_range_of_degradations(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_thick_slices_need_thinner_ones_and_room():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="has slices below 5 mm apart, but got 5 mm"):
        ThickSlices(5)(head(), (1, 1, 5), rng)
    with pytest.raises(DataError, match="holds at least 2 slices of 5 mm, but got 6 mm"):
        ThickSlices(5)(head(), SPACING, rng)
