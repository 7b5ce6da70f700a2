"""Volumes that are no magnitude images are refused by every corruption of magnitude MR."""

import numpy as np
import pytest

from common.errors import DataError
from common.simulation.corruptions.magnitude import from_slices, robust_maximum, to_slices
from common.simulation.corruptions.motion import HeadMotion
from common.simulation.corruptions.noise import RicianNoise
from common.simulation.corruptions.slices import ThickSlices
from common.simulation.corruptions.undersampling import Undersampled

SPACING = (1.0, 1.0, 1.0)


def test_the_robust_maximum_is_a_percentile_or_the_maximum_of_a_nearly_empty_volume():
    assert robust_maximum(np.arange(1001.0)) == 995
    assert robust_maximum(np.array([0.0] * 999 + [7])) == 7


@pytest.mark.parametrize(("axis", "shape"), [(0, (5, 7, 6)), (1, (6, 7, 5)), (2, (7, 6, 5))])
def test_columns_of_slices_are_the_first_other_axis(axis, shape):
    volume = np.random.default_rng(0).random((5, 6, 7))
    seen = to_slices(volume, axis)
    assert seen.shape == shape
    np.testing.assert_array_equal(from_slices(seen, axis), volume)


@pytest.mark.parametrize("corruption", [Undersampled(), RicianNoise(), HeadMotion()])
def test_volumes_that_are_no_magnitude_are_refused(corruption):
    rng, volume = np.random.default_rng(0), 600.0 * (np.indices((16, 16, 8))[0] > 6)
    for phase in (rng.uniform(-np.pi, np.pi, volume.shape), rng.integers(-4096, 4096, volume.shape), volume - 1024):
        with pytest.raises(DataError, match="MR has values from -.*: give the magnitude"):
            corruption(phase, SPACING, rng)
    with pytest.raises(DataError, match="MR has complex values: give their magnitude"):
        corruption(volume * 1j, SPACING, rng)
    with pytest.raises(DataError, match="MR has NaN or infinite voxels"):
        corruption(np.where(volume > 0, np.nan, 0), SPACING, rng)
    with pytest.raises(DataError, match="MR has . dimensions, not 3: give one volume"):
        corruption(volume[..., None], SPACING, rng)
    assert np.isfinite(corruption(volume - 0.05 * volume.max(), SPACING, rng)).all()  # as of a sinc


def test_thick_slices_are_made_of_any_real_volume_such_as_a_ct():
    rng, volume = np.random.default_rng(0), 600.0 * (np.indices((16, 16, 8))[0] > 6) - 1024
    assert ThickSlices(2)(volume, SPACING, rng).min() >= -1024
    for broken in (volume * 1j, np.where(volume > -1000, np.nan, volume), volume[..., None]):
        with pytest.raises(DataError, match="volume has "):
            ThickSlices(2)(broken, SPACING, rng)
