from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import ndimage

from common.simulation.artefacts import Artefacts, displaced, moved, spiked, truncated, void_around
from common.simulation.sampling import Sampling

WHOLE = (slice(None),) * 3
NONE = Artefacts(**{field.name: 0.0 for field in fields(Artefacts) if field.name.endswith("_probability")})


@pytest.fixture(scope="module")
def head():
    """An ellipsoid of tissue with a darker inside, (40, 48, 20), smooth."""
    x, y, z = np.ogrid[-20:20, -24:24, -10:10]
    distance = np.sqrt((x / 12) ** 2 + (y / 18) ** 2 + (z / 30) ** 2)
    return ndimage.gaussian_filter((1.0 * (distance < 1) - 0.5 * (distance < 0.5)).astype(np.float32), 1)


def edge(size, axis):
    """1 in the first half, 3 in the second."""
    steps = np.where(np.arange(size) < size // 2, 1, 3).astype(np.float32)
    shape = [4, 4, 4]
    shape[axis] = size
    return np.ascontiguousarray(np.broadcast_to(steps.reshape([-1 if dim == axis else 1 for dim in range(3)]), shape))


# ---- ringing --------------------------------------------------------------------------------------------------------


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
    assert truncated(image, 1, 1.0) == pytest.approx(image, abs=1e-6)
    assert truncated(image, 1, 0.0) == pytest.approx(
        np.broadcast_to(image.mean(1, keepdims=True), image.shape), abs=1e-6
    )


def test_a_scan_truncated_along_both_axes_is_even_across_slices_alone():
    """One frequency is left along the axes in the plane of the slices, all across them."""
    artefacts = replace(NONE, truncation_probability=1, both_probability=1, kept=(0, 0))
    image = np.random.default_rng(0).random((8, 10, 6), dtype=np.float32)
    seen = artefacts(image, Sampling(WHOLE, 0, 1, 1, 2, 1.0), np.random.default_rng(0))
    assert seen == pytest.approx(np.broadcast_to(image.mean((1, 2), keepdims=True), image.shape), abs=1e-6)


# ---- motion ---------------------------------------------------------------------------------------------------------


def test_motion_of_zero_is_the_identity(head):
    np.testing.assert_allclose(displaced(head, 2, 0.0, (0.0, 0.0)), head, atol=1e-6)
    np.testing.assert_allclose(
        moved(head, 2, 1, [0.0, 0.0], [(0, 0), (0, 0)], [(0.1, 0.3), (0.6, 0.7)]), head, atol=1e-6
    )
    np.testing.assert_allclose(moved(head, 2, 0, [], [], []), head, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_whole_shifts_and_quarter_turns_are_those_of_numpy(axis):
    image = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    first, second = (other for other in range(3) if other != axis)
    shifted = displaced(image, axis, 0.0, (2.0, 0.0))
    assert np.moveaxis(shifted, first, 0)[2:] == pytest.approx(np.moveaxis(image, first, 0)[:-2], abs=1e-6)
    assert displaced(image, axis, 90.0, (0, 0)) == pytest.approx(np.rot90(image, 1, (first, second)), abs=1e-5)


def test_a_head_elsewhere_during_all_of_the_scan_is_a_head_elsewhere(head):
    whole = moved(head, 2, 1, [5.0], [(1.0, -2.0)], [(0.0, 1.0)])
    np.testing.assert_allclose(whole, displaced(head, 2, 5.0, (1.0, -2.0)), atol=1e-5)


def test_a_shift_during_some_lines_is_their_phase_in_k_space(head):
    """The same by the shift theorem, at whole pixels, for lines 30 to 35 of 40 along X (frequencies 10 to 15)."""
    lines = np.fft.fft(head, axis=0)
    lines[10:15] *= np.exp(-2j * np.pi * np.arange(10, 15) * 3 / 40)[:, None, None]
    seen = moved(head, 2, 0, [0.0], [(3.0, 0.0)], [(30 / 40, 35 / 40)])
    np.testing.assert_allclose(seen, np.abs(np.fft.ifft(lines, axis=0)), atol=1e-5)
    assert np.abs(seen - head).max() > 0.005


def test_motion_leaves_the_head_in_its_place(head):
    """The centre of k-space is measured in the first position."""
    artefacts = replace(NONE, motion_probability=1, motion_mm=(3, 3), motion_degrees=(3, 3))
    for seed in range(5):
        seen = artefacts(head, Sampling(WHOLE, 2, 1, 1, 0, 1.0), np.random.default_rng(seed))
        assert 0.003 < np.abs(seen - head).mean() < 0.1
        assert np.corrcoef(seen.ravel(), head.ravel())[0, 1] > 0.95
        np.testing.assert_allclose(ndimage.center_of_mass(seen), ndimage.center_of_mass(head), atol=0.5)


# ---- ghosts, spikes, fold-over ---------------------------------------------------------------------------------------


def test_a_ghost_lies_half_a_field_of_view_away_along_the_phase_axis():
    image = np.zeros((8, 8, 8), np.float32)
    image[2, 2, 2] = 1
    artefacts = replace(NONE, ghost_probability=1, ghost=(0.5, 0.5))
    for phase, ghost in ((0, (6, 2, 2)), (1, (2, 6, 2))):
        seen = artefacts(image, Sampling(WHOLE, 2, 1, 1, phase, 1.0), np.random.default_rng(0))
        assert seen[2, 2, 2] == 1
        assert seen[ghost] == 0.5
        assert seen.sum() == 1.5


def test_a_spike_is_one_sample_of_k_space_in_some_slices():
    wave = spiked(np.zeros((16, 20, 30), np.float32), 2, 0.1, np.random.default_rng(3))
    hit = np.abs(wave).max(axis=(0, 1)) > 0
    assert 3 < hit.sum() < 18
    spectrum = np.abs(np.fft.fft2(wave, axes=(0, 1)))[:, :, hit]
    assert ((spectrum > 1e-3 * spectrum.max()).sum(axis=(0, 1)) == 2).all()  # a sample and its conjugate
    assert np.abs(wave).max() == pytest.approx(0.1, rel=0.1)


def test_a_field_of_view_smaller_than_the_head_misses_what_was_drawn():
    head = np.zeros((100, 120, 100), bool)
    head[10:90, 20:105, :80] = True
    sampling = Sampling((slice(5, 95), slice(0, 120), slice(0, 100)), 2, 1, 1, 1, 2.0)
    for seed in range(10):
        wrapped = replace(NONE, wrap_probability=1, wrap_mm=(20, 20)).wrapped(
            sampling, head, np.random.default_rng(seed)
        )
        part = wrapped.view[1]
        assert wrapped.folds
        assert (wrapped.view[0], wrapped.view[2]) == (sampling.view[0], sampling.view[2])
        assert (part.start - 20) + (105 - part.stop) == pytest.approx(10, abs=1)
        assert 20 <= part.start <= 30


def test_a_small_head_is_not_cut_below_ninety_millimetres():
    head = np.zeros((60, 60, 60), bool)
    head[5:55, 5:55, 5:55] = True
    sampling = Sampling(WHOLE, 2, 1, 1, 1, 2.0)
    wrap = replace(NONE, wrap_probability=1)
    assert replace(wrap, wrap_mm=(20, 20)).wrapped(sampling, head, np.random.default_rng(0)) == sampling
    assert replace(wrap, wrap_mm=(6, 6)).wrapped(sampling, head, np.random.default_rng(0)).folds


# ---- all ------------------------------------------------------------------------------------------------------------


def test_without_artefacts_the_image_is_what_it_was(head):
    sampling = Sampling(WHOLE, 2, 1, 1, 1, 1.0)
    assert NONE(head, sampling, np.random.default_rng(0)) is head
    assert NONE.wrapped(sampling, head > 0.5, np.random.default_rng(0)) is sampling


def test_the_same_generator_gives_the_same_bits_in_single_precision(head):
    sure = Artefacts(1.0, 1.0, motion_probability=1, ghost_probability=1, spike_probability=1, wrap_probability=1)
    sampling = Sampling(WHOLE, 1, 1, 1, 2, 1.0)
    one, again, other = (sure(head, sampling, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-3)


def test_signal_is_void_around_metal_and_back_3_mm_further():
    """One voxel of metal, 2 mm pixels, reach 4 mm: nothing at 4 mm, a third at 5 mm away, all from 7 mm on."""
    metal = np.zeros((21, 21, 21), np.float32)
    metal[10, 10, 10] = 0.5
    factor = void_around(metal, 4.0, 2.0)
    assert factor[10:15, 10, 10].tolist() == pytest.approx([0, 0, 0, 2 / 3, 1])
    assert factor[0, 0, 0] == 1
    assert (void_around(np.zeros_like(metal), 4.0, 2.0) == 1).all()
