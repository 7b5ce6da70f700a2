"""Masked SSIM and MS-SSIM: the published phantom, one window by hand, padding, undefined cases."""

import math

import numpy as np
import pytest

from common.metrics import CT_RANGE
from common.metrics.ssim import SMALLEST_SIDE, ms_ssim, ssim


def _noise(shape, seed=0, low=-1000.0, high=2000.0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def test_reference_digits_of_the_small_phantom(small_phantom):
    assert ssim(*small_phantom, CT_RANGE) == pytest.approx(0.992624388, rel=1e-6)
    assert ms_ssim(*small_phantom, CT_RANGE) == pytest.approx(0.997950804, rel=1e-6)


def test_reference_digits_of_the_large_phantom(large_phantom):
    assert ssim(*large_phantom, CT_RANGE) == pytest.approx(0.992785519, rel=1e-6)
    assert ms_ssim(*large_phantom, CT_RANGE) == pytest.approx(0.995701307, rel=1e-6)


def test_ssim_of_one_window_equals_the_formula():
    pred, truth, width = _noise((7, 7, 7), 1, 0, 1), _noise((7, 7, 7), 2, 0, 1), 2.0
    # The range starts at -0.5, so that the shift to 0 adds 0.5 to both means.
    mean_p, mean_t = pred.mean() + 0.5, truth.mean() + 0.5
    (var_p, both), (_, var_t) = np.cov(pred.ravel(), truth.ravel())
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    expected = (2 * mean_p * mean_t + c1) * (2 * both + c2)
    expected /= (mean_p**2 + mean_t**2 + c1) * (var_p + var_t + c2)
    assert ssim(pred, truth, np.ones((7, 7, 7)), (-0.5, 1.5)) == pytest.approx(expected, rel=1e-12)


def test_values_beyond_the_range_and_outside_the_mask_are_alike():
    truth = _noise((12, 12, 12))
    mask = np.zeros(truth.shape)
    mask[2:10, 3:9, 2:11] = 1
    pred = np.where(mask, truth, -9000.0)
    pred[4, 4, 4], truth[4, 4, 4] = 4000, 3500
    assert ssim(pred, truth, mask, CT_RANGE) == pytest.approx(1, abs=1e-12)
    assert ms_ssim(pred, truth, mask, CT_RANGE) == pytest.approx(1, abs=1e-12)


def test_inverted_texture_is_negative_in_ssim_and_zero_in_ms_ssim():
    # No side is padded: flat edges would not be inverted.
    texture = _noise((97, 97, 97), low=-800, high=800)
    mask = np.ones(texture.shape)
    assert ssim(-texture, texture, mask, CT_RANGE) < -0.5
    assert ms_ssim(-texture, texture, mask, CT_RANGE) == 0.0


def test_small_volumes_are_padded_with_their_edges():
    shape = (20, 33, 16)
    truth, mask = _noise(shape), np.ones(shape)
    pred = truth + _noise(shape, 3, -200, 200)
    # Missing sides 77, 64 and 81: half before, rounded down, and the rest after.
    widths = [(38, 39), (32, 32), (40, 41)]
    padded_pred, padded_truth, padded_mask = (np.pad(volume, widths, mode="edge") for volume in (pred, truth, mask))
    assert padded_truth.shape == (SMALLEST_SIDE,) * 3 == (97, 97, 97)
    assert 0.5 < ms_ssim(pred, truth, mask, CT_RANGE) < 1
    assert ms_ssim(pred, truth, mask, CT_RANGE) == ms_ssim(padded_pred, padded_truth, padded_mask, CT_RANGE)


def test_a_mask_near_the_border_alone_leaves_ssim_undefined():
    truth, mask = _noise((12, 12, 12)), np.zeros((12, 12, 12))
    mask[:3] = 1
    assert math.isnan(ssim(truth, truth, mask, CT_RANGE))
    assert math.isnan(ssim(truth[:6], truth[:6], np.ones((6, 12, 12)), CT_RANGE))


def test_a_mask_lost_on_a_coarse_level_leaves_ms_ssim_undefined():
    truth, mask = np.zeros((99, 99, 99)), np.zeros((99, 99, 99))
    mask[51, 51, 51] = 1
    assert math.isnan(ms_ssim(truth, truth, mask, CT_RANGE))
