import numpy as np
import pytest

from common.simulation.sampling import Sampling

WHOLE = (slice(None),) * 3


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("pixel", [0.7, 1.0, 1.4, 2.0])
def test_slices_have_their_thickness_in_mm_at_every_pixel_size(pixel, axis):
    """A ramp of 1 per mm: slices 5 mm apart differ by 5, and the first has the mean of its 4 mm."""
    size = round(140 / pixel)
    middles = pixel * (np.arange(size, dtype=np.float32) + 0.5)
    volume = middles.reshape([-1 if other == axis else 1 for other in range(3)]) * np.ones((size,) * 3, np.float32)
    sampling = Sampling(WHOLE, axis, 5 / pixel, 4 / pixel, (axis + 1) % 3, pixel)
    seen = np.moveaxis(sampling(volume), axis, 0)[:, 0, 0]
    assert np.diff(seen) == pytest.approx(np.full(27, 5.0), abs=0.3)  # pixels are steps of up to 2 mm
    assert np.diff(seen).mean() == pytest.approx(5, abs=0.03)
    assert seen[0] == pytest.approx(2, abs=0.2)
    assert sampling.spacing == pytest.approx([5 if other == axis else pixel for other in range(3)])


def test_signal_folds_along_the_phase_axis_and_truth_does_not():
    volume = np.random.default_rng(0).random((6, 8, 4), dtype=np.float32)
    view = (slice(1, 5), slice(2, 7), slice(0, 4))
    plain, wrapped = (Sampling(view, 2, 2, 2, 1, 1.0, folds) for folds in (False, True))
    assert np.array_equal(plain.received(volume), plain(volume))
    assert np.array_equal(wrapped(volume), plain(volume))
    inside = volume[1:5]
    ends = inside[:, 2:7].copy()
    ends[:, 3:] += inside[:, :2]
    ends[:, :1] += inside[:, 7:]
    assert wrapped.received(volume) == pytest.approx((ends[:, :, ::2] + ends[:, :, 1::2]) / 2)
