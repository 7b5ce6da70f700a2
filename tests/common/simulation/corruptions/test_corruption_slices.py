"""Thick slices: means of thin ones, profiles, splines, and volumes that are refused."""

import numpy as np
import pytest
from kspace_phantom import head

from common.errors import ConfigError, DataError
from common.simulation.corruptions.slices import ThickSlices, averaged, interpolated, repeated, shuffled

SPACING = (1.0, 1.0, 1.0)


def row(*values):
    """Values along the last axis, (2, 2, N)."""
    return np.array(values, np.float32)[None, None] * np.ones((2, 2, 1), np.float32)


def test_thick_slices_are_means_of_pixels_and_gaps_are_left_out():
    volume = row(0, 1, 2, 3, 4, 5, 6)
    assert averaged(volume, 2, 3, 3)[0, 0].tolist() == [1.0, 4.0]
    assert averaged(volume, 2, 3, 2)[0, 0].tolist() == [0.5, 3.5]
    assert averaged(volume, 2, 1, 1) is volume


def test_a_pixel_covered_in_part_counts_with_that_part():
    """Slices of 1.5 pixels: (0 + 1 / 2) / 1.5, (1 / 2 + 2) / 1.5, ...; with a gap of two, half a pixel is left."""
    volume = row(0, 1, 2, 3, 4, 5)
    assert averaged(volume, 2, 1.5, 1.5)[0, 0] == pytest.approx([1 / 3, 5 / 3, 10 / 3, 14 / 3])
    assert averaged(volume, 2, 2.5, 0.5)[0, 0] == pytest.approx([0, 2])


def test_whole_thick_slices_are_written_on_their_thin_ones_and_the_rest_on_the_rest():
    """7 mm of 3 mm are two slices; 1 mm is two, too."""
    assert repeated(row(0, 1, 2, 3, 4), 7.0, 3.0)[0, 0].tolist() == [0.5, 0.5, 2.5, 2.5, 4]
    assert repeated(row(0, 1, 2, 3, 4), 1.0, 3.0)[0, 0].tolist() == [0.5, 0.5, 2.5, 2.5, 4]
    assert repeated(row(0, 1, 2, 3, 4), 9.0, 3.0)[0, 0].tolist() == [1, 1, 1, 3.5, 3.5]


def test_slices_in_a_wrong_order_are_all_there():
    seen = shuffled(row(*range(20)), np.random.default_rng(0))[0, 0]
    assert sorted(seen) == list(range(20))
    assert (np.abs(np.diff(seen)) != 1).any()


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
    rows = ThickSlices(8, profile="gaussian").weights(np.abs(np.arange(200) - np.array([[99.5], [103.5]])), 1.0)
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


def test_thick_slices_need_thinner_ones_and_room():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="slices are 5 mm apart, not closer than --thickness 5 mm"):
        ThickSlices(5)(head(), (1, 1, 5), rng)
    with pytest.raises(DataError, match="spans 6 mm, less than 2 slices of 5 mm"):
        ThickSlices(5)(head(), SPACING, rng)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thickness": 0}, "--thickness is 0, not above 0 mm"),
        ({"gap": -1}, "--gap is -1, not 0 or more mm"),
        ({"profile": "sinc"}, "--profile is 'sinc': choose gaussian or box"),
    ],
)
def test_settings_out_of_range_of_thick_slices(settings, message):
    with pytest.raises(ConfigError, match=message):
        ThickSlices(**settings)
