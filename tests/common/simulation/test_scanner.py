from dataclasses import fields, replace

import numpy as np
import pytest

from common.simulation.sampling import Sampling
from common.simulation.scanner import Artefacts, Scanner

SHAPE = (40, 48, 40)
PLAIN = Sampling((slice(None),) * 3, axis=2, pitch=1, thick=1, phase=1, pixel=1.0)
STILL = {"noise": [0, 0], "gamma": [1, 1], "window_percent": [100, 100], "quantised_probability": 0, "artefacts": None}
WHOLE = (slice(None),) * 3
NONE = Artefacts(**{each.name: 0.0 for each in fields(Artefacts) if each.name.endswith("_probability")})


def test_bias_has_the_strength_that_was_asked_for_and_shares_it():
    none, fields = (
        Scanner(bias=[bias, bias], target_bias=1.0, coil_probability=0).bias_fields(
            np.random.default_rng(0), SHAPE, 5.0
        )
        for bias in (0, 0.2)
    )
    assert all((field == 1).all() for field in none)
    source, target = fields
    assert 0.1 < np.log(source).std() < 0.3
    assert np.abs(np.log(source)).max() <= 0.4 + 1e-6
    np.testing.assert_allclose(source, target)


def test_cuts_keep_to_their_limits():
    scanner, shape, spacing = Scanner(cut_mm=[10, 20, 60, 0]), (100, 120, 100), 2.0
    views = [scanner.sampling(np.random.default_rng(seed), shape, spacing).view for seed in range(300)]
    starts = np.array([[part.start for part in view] for view in views])
    ends = np.array([[size - part.stop for part, size in zip(view, shape, strict=True)] for view in views])
    assert starts.min() == ends.min() == 0
    assert starts.max(axis=0).tolist() == [4, 9, 29]
    assert ends.max(axis=0).tolist() == [4, 9, 0]
    view = Scanner(cut_mm=[500, 500, 500, 500]).sampling(np.random.default_rng(1), (50, 60, 50), 4.0).view
    assert [part.stop - part.start >= 22 for part in view] == [True] * 3, "ninety millimetres are left"


@pytest.mark.parametrize("pixel", [1.0, 1.4, 2.0])
def test_thick_slices_are_of_millimetres_whatever_the_pixel_and_of_at_least_a_pixel(pixel):
    scanner = Scanner(thick_probability=1, thickness_mm=[1, 6], gap_probability=0)
    seen = [scanner.sampling(np.random.default_rng(seed), SHAPE, pixel) for seed in range(200)]
    distances = np.array([each.pitch * pixel for each in seen])
    assert distances.min() == pytest.approx(pixel, abs=0.05)
    assert 5.8 < distances.max() <= 6
    assert np.mean(distances > 3.5) == pytest.approx(0.5, abs=0.1)
    assert all(each.thick == each.pitch for each in seen)
    assert all(each.spacing[each.axis] == pytest.approx(each.pitch * pixel) for each in seen)


def test_window_cuts_at_its_percentile_and_the_brightest_is_one():
    image = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    still = Scanner(**{**STILL, "window_percent": [50, 50]})
    seen = still.degraded(image, np.ones(image.shape, bool), np.random.default_rng(0), PLAIN)
    assert seen.max() == 1
    assert (seen == 1).mean() == pytest.approx(0.5, abs=0.01)
    assert seen.ravel()[250] == pytest.approx(0.5, abs=0.01)


def test_noise_follows_the_brightness_of_the_head():
    """A tenth of the signal gives a tenth of the noise: the seen image is the same."""
    image = np.full((12, 12, 12), 0.5, np.float32)
    image[:6] = 1
    head = np.ones(image.shape, bool)
    noisy = Scanner(**{**STILL, "noise": [0.03, 0.03]})
    bright, dim = (noisy.degraded(scale * image, head, np.random.default_rng(0), PLAIN) for scale in (1.0, 0.1))
    assert bright == pytest.approx(dim, abs=1e-6)
    assert bright[:6].std() / bright[:6].mean() == pytest.approx(0.03, rel=0.1)


def test_artefacts_come_before_noise_and_the_grey_scale_stays_between_black_and_white():
    """A ghost as bright as the image beside it; ringing below 0 is a magnitude."""
    image = np.zeros((8, 8, 8), np.float32)
    image[2, 2, 2] = 1
    none = {"truncation_probability": 0, "motion_probability": 0, "spike_probability": 0}
    ghosts = Scanner(**{**STILL, "artefacts": Artefacts(**none, ghost_probability=1, ghost=[0.5, 0.5])})
    assert ghosts.degraded(image, image > 0, np.random.default_rng(0), PLAIN)[2, 6, 2] == 0.5
    ringing = Artefacts(**{**none, "truncation_probability": 1}, ghost_probability=0, kept=[0.5, 0.5])
    seen = Scanner(**{**STILL, "artefacts": ringing}).degraded(image, image > 0, np.random.default_rng(0), PLAIN)
    assert 0 <= seen.min() < 0.1
    assert seen.max() == 1


def test_a_field_of_view_smaller_than_the_head_misses_what_was_drawn_and_keeps_ninety_millimetres():
    head = np.zeros((100, 120, 100), bool)
    head[10:90, 20:105, :80] = True
    sampling = Sampling((slice(5, 95), slice(0, 120), slice(0, 100)), 2, 1, 1, 1, 2.0)
    wrap = replace(NONE, wrap_probability=1, wrap_mm=(20, 20))
    for seed in range(10):
        wrapped = wrap.wrapped(sampling, head, np.random.default_rng(seed))
        part = wrapped.view[1]
        assert wrapped.folds
        assert (wrapped.view[0], wrapped.view[2]) == (sampling.view[0], sampling.view[2])
        assert (part.start - 20) + (105 - part.stop) == pytest.approx(10, abs=1)
        assert 20 <= part.start <= 30
    small, sampling = head[5:65, 15:75, 20:], Sampling(WHOLE, 2, 1, 1, 1, 2.0)
    small[:] = False
    small[5:55, 5:55, 5:55] = True
    assert wrap.wrapped(sampling, small, np.random.default_rng(0)) == sampling
    assert replace(wrap, wrap_mm=(6, 6)).wrapped(sampling, small, np.random.default_rng(0)).folds
