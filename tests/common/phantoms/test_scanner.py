import numpy as np
import pytest

from common.phantoms.scanner import Scanner, averaged, rician

SHAPE = (40, 48, 40)


def test_thick_slices_are_means_of_pixels_and_gaps_are_left_out():
    volume = np.arange(7, dtype=np.float32)[None, None] * np.ones((2, 2, 1), np.float32)
    assert averaged(volume, 2, 3, 3)[0, 0].tolist() == [1.0, 4.0]
    assert averaged(volume, 2, 3, 2)[0, 0].tolist() == [0.5, 3.5]
    assert averaged(volume, 2, 1, 1) is volume


def test_noise_alone_has_the_mean_of_a_rayleigh_distribution():
    noise = rician(np.zeros((60, 60, 60), np.float32), np.random.default_rng(0), 0.1)
    assert noise.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.01)


def test_without_bias_both_fields_are_one():
    source, target = Scanner(bias=[0, 0]).bias_fields(np.random.default_rng(0), SHAPE, 5.0)
    assert source.min() == source.max() == target.min() == target.max() == 1


def test_bias_has_the_strength_that_was_asked_for_and_shares_it():
    source, target = Scanner(bias=[0.2, 0.2], target_bias=1.0).bias_fields(np.random.default_rng(0), SHAPE, 5.0)
    assert 0.1 < np.log(source).std() < 0.3
    assert np.abs(np.log(source)).max() <= 0.4 + 1e-6
    np.testing.assert_allclose(source, target)


def test_cuts_keep_to_their_limits():
    scanner, shape, spacing = Scanner(cut_mm=[10, 20, 60, 0]), (100, 120, 100), 2.0
    views = [scanner.window_of_view(np.random.default_rng(seed), shape, spacing) for seed in range(300)]
    starts = np.array([[part.start for part in view] for view in views])
    ends = np.array([[size - part.stop for part, size in zip(view, shape, strict=True)] for view in views])
    assert starts.min() == ends.min() == 0
    assert starts.max(axis=0).tolist() == [4, 9, 29]
    assert ends.max(axis=0).tolist() == [4, 9, 0]


def test_a_cut_leaves_ninety_millimetres():
    view = Scanner(cut_mm=[500, 500, 500, 500]).window_of_view(np.random.default_rng(1), (50, 60, 50), 4.0)
    assert [part.stop - part.start >= 22 for part in view] == [True] * 3


def test_slabs_of_two_to_four_pixels():
    scanner = Scanner(thick_probability=1, thickness=[2, 4], gap_probability=0)
    drawn = {scanner.slabs(np.random.default_rng(seed))[1:] for seed in range(60)}
    assert drawn == {(2, 2), (3, 3), (4, 4)}
    assert Scanner(thick_probability=0).slabs(np.random.default_rng(0))[1:] == (1, 1)


def test_window_cuts_at_its_percentile_and_the_brightest_is_one():
    image = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    still = Scanner(noise=[0, 0], ghost_probability=0, gamma=[1, 1], window_percent=[50, 50])
    seen = still.degraded(image, np.ones(image.shape, bool), np.random.default_rng(0))
    assert seen.max() == 1
    assert (seen == 1).mean() == pytest.approx(0.5, abs=0.01)
    assert seen.ravel()[250] == pytest.approx(0.5, abs=0.01)


def test_noise_follows_the_brightness_of_the_head():
    """A tenth of the signal gives a tenth of the noise: the seen image is the same."""
    image = np.full((12, 12, 12), 0.5, np.float32)
    image[:6] = 1
    head = np.ones(image.shape, bool)
    noisy = Scanner(noise=[0.03, 0.03], ghost_probability=0, gamma=[1, 1], window_percent=[100, 100])
    bright, dim = (noisy.degraded(scale * image, head, np.random.default_rng(0)) for scale in (1.0, 0.1))
    assert bright == pytest.approx(dim, abs=1e-6)
    assert bright[:6].std() / bright[:6].mean() == pytest.approx(0.03, rel=0.1)


def test_a_ghost_lies_half_a_field_of_view_away():
    image = np.zeros((8, 8, 8), np.float32)
    image[2, 2, 2] = 1
    still = Scanner(noise=[0, 0], ghost_probability=1, ghost=[0.5, 0.5], gamma=[1, 1], window_percent=[100, 100])
    seen = still.degraded(image, image > 0, np.random.default_rng(0))
    assert seen[2, 2, 2] == 1
    assert sorted((seen[6, 2, 2], seen[2, 6, 2])) == [0, 0.5]
