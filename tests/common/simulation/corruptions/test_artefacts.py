"""Ringing, ghosts, spikes, fold-over and voids, by their periods, places and spectra."""

import numpy as np
import pytest
from monai.transforms import GibbsNoise

from common.simulation.corruptions.artefacts import folded, ghosted, spiked, truncated, void_around


def edge(size, axis):
    """1 in the first half, 3 in the second."""
    steps = np.where(np.arange(size) < size // 2, 1, 3).astype(np.float32)
    shape = [4, 4, 4]
    shape[axis] = size
    return np.ascontiguousarray(np.broadcast_to(steps.reshape([-1 if dim == axis else 1 for dim in range(3)]), shape))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("kept", "period"), [(0.25, 8), (0.5, 4)])
def test_an_edge_rings_with_the_period_of_the_cut_and_the_mean_is_kept(axis, kept, period):
    """Odd multiples of the base frequency alone make an edge of two halves, so that the extremes are regular."""
    seen = truncated(edge(256, axis), axis, kept)
    assert seen.mean() == pytest.approx(2, abs=1e-5)
    line = np.moveaxis(seen, axis, 0)[:, 0, 0]
    peaks = [place for place in range(132, 188) if line[place] > line[place - 1] and line[place] >= line[place + 1]]
    assert np.diff(peaks).mean() == pytest.approx(period, rel=0.02)
    assert line.max() - 3 == pytest.approx(0.09 * 2, rel=0.25)  # overshoot of Gibbs: 9% of the edge


def test_all_of_k_space_is_the_image_and_none_the_mean():
    image = np.random.default_rng(0).random((7, 10, 6), dtype=np.float32)
    mean = np.broadcast_to(image.mean(1, keepdims=True), image.shape)
    assert truncated(image, 1, 1.0) == pytest.approx(image, abs=1e-6)
    assert truncated(image, 1, 0.0) == pytest.approx(mean, abs=1e-6)


def test_along_one_axis_it_is_the_truncation_of_monai():
    """Of an odd number of lines, so that MONAI's ball is centred: 0.5 of 65 are the frequencies up to 16."""
    image = np.ascontiguousarray(np.broadcast_to(np.random.default_rng(0).random(65, np.float32)[:, None], (65, 5)))
    seen = GibbsNoise(alpha=1 - 16 / (65 * np.sqrt(2) / 2))(image[None, :, :1])
    assert truncated(image[..., None], 0, 0.5)[:, 0, 0] == pytest.approx(np.asarray(seen)[0, :, 0], abs=1e-5)


@pytest.mark.parametrize(("axis", "ghost"), [(0, (6, 2, 2)), (1, (2, 6, 2))])
def test_a_ghost_lies_half_a_field_of_view_away_along_the_phase_axis(axis, ghost):
    image = np.zeros((8, 8, 8), np.float32)
    image[2, 2, 2] = 1
    seen = ghosted(image, axis, 0.5)
    assert (seen[2, 2, 2], seen[ghost], seen.sum()) == (1, 0.5, 1.5)


def test_a_spike_is_one_sample_of_k_space_in_some_slices():
    wave = spiked(np.zeros((16, 20, 30), np.float32), 2, 0.1, np.random.default_rng(3))
    hit = np.abs(wave).max(axis=(0, 1)) > 0
    assert 3 < hit.sum() < 18
    spectrum = np.abs(np.fft.fft2(wave, axes=(0, 1)))[:, :, hit]
    assert ((spectrum > 1e-3 * spectrum.max()).sum(axis=(0, 1)) == 2).all()  # a sample and its conjugate
    assert np.abs(wave).max() == pytest.approx(0.1, rel=0.1)


def test_what_lies_outside_folds_to_the_other_end():
    volume = np.array([1, 2, 4, 8, 16, 32], np.float32)[None, None] * np.ones((2, 2, 1), np.float32)
    assert folded(volume, 2, slice(1, 4))[0, 0].tolist() == [2 + 16, 4 + 32, 8 + 1]
    assert folded(volume, 2, slice(0, 6))[0, 0].tolist() == [1, 2, 4, 8, 16, 32]


def test_signal_is_void_around_metal_and_back_3_mm_further():
    """One voxel of metal, 2 mm pixels, reach 4 mm: nothing at 4 mm, a third at 5 mm away, all from 7 mm on."""
    metal = np.zeros((21, 21, 21), np.float32)
    metal[10, 10, 10] = 0.5
    factor = void_around(metal, 4.0, 2.0)
    assert factor[10:15, 10, 10].tolist() == pytest.approx([0, 0, 0, 2 / 3, 1])
    assert factor[0, 0, 0] == 1
    assert (void_around(np.zeros_like(metal), 4.0, 2.0) == 1).all()
