"""Sharpness, high-frequency error norm and slice jumps: hand arithmetic and properties."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.errors import ConfigError
from common.metrics.detail import hfen, sharpness, slice_jumps


def _texture(shape=(14, 15, 13), seed=0):
    return gaussian_filter(np.random.default_rng(seed).normal(0, 100, shape), 1)


def _row(*values):
    return np.array(values, float).reshape(-1, 1, 1)


def test_sharpness_by_hand_stops_at_the_edge_of_the_mask():
    # Inside: truth steps 1 and 2, gradients 1, 1.5 and 2; prediction steps 4 and 0, gradients 4, 2 and 0.
    value = sharpness(_row(0, 4, 4, -50), _row(0, 1, 3, 100), _row(1, 1, 1, 0))
    assert value == pytest.approx((4 + 2 + 0) / (1 + 1.5 + 2))


def test_sharpness_of_the_whole_volume_equals_numpy_gradients():
    pred, truth = _texture(seed=1), _texture(seed=2)
    magnitudes = [np.sqrt(sum(g**2 for g in np.gradient(volume))).mean() for volume in (pred, truth)]
    assert sharpness(pred, truth, np.ones(truth.shape)) == pytest.approx(magnitudes[0] / magnitudes[1], rel=1e-12)


def test_blur_lowers_and_noise_raises_sharpness(small_phantom):
    _, truth, mask = small_phantom
    noise = np.random.default_rng(0).normal(0, 200, truth.shape)
    assert sharpness(gaussian_filter(truth, 1.5), truth, mask) < 0.8
    assert sharpness(truth + noise, truth, mask) > 1.2
    assert sharpness(truth + 70.0, truth, mask) == pytest.approx(1, rel=1e-6)


def test_sharpness_of_a_single_slice_mask_and_of_a_flat_truth():
    truth = _texture()
    mask = np.zeros(truth.shape)
    mask[:, :, 6] = 1
    assert sharpness(3 * truth, truth, mask) == pytest.approx(3)
    assert math.isnan(sharpness(truth, np.zeros(truth.shape), mask))


def test_hfen_grows_with_the_scale_of_the_error():
    truth, everywhere = _texture(), np.ones((14, 15, 13))
    assert hfen(truth, truth, everywhere) == 0.0
    assert hfen(1.25 * truth, truth, everywhere) == pytest.approx(0.25, rel=1e-9)
    assert hfen(np.zeros(truth.shape), truth, everywhere) == pytest.approx(1.0, rel=1e-9)
    assert math.isnan(hfen(truth, np.zeros(truth.shape), everywhere))


def test_hfen_equals_second_derivatives_of_gaussians_inside_the_mask():
    truth, error = _texture(), _texture(seed=5)
    mask = np.zeros(truth.shape)
    mask[3:11, 2:12, 4:10] = 1
    inside = mask > 0

    def laplacian(volume):
        orders = ((2, 0, 0), (0, 2, 0), (0, 0, 2))
        return sum(gaussian_filter(volume, 1.5, order=order) for order in orders)

    expected = np.sqrt((laplacian(error * mask)[inside] ** 2).sum() / (laplacian(truth)[inside] ** 2).sum())
    assert hfen(truth + error, truth, mask) == pytest.approx(expected, rel=1e-9)


def test_slice_jumps_by_hand():
    shape = np.ones((1, 2, 1))
    truth = np.array([0.0, 1.0, 3.0]).reshape(1, 1, 3) * shape + np.array([-5.0, 5.0]).reshape(1, 2, 1)
    pred = np.array([0.0, 4.0, -1.0]).reshape(1, 1, 3) * shape
    mask = np.ones(truth.shape)
    assert slice_jumps(pred, truth, mask, axis=2) == pytest.approx(((4 + 5) / 2) / ((1 + 2) / 2))
    assert slice_jumps(pred, truth, mask, axis=-1) == slice_jumps(pred, truth, mask, axis=2)
    # Across axis 1 the truth steps by 10 and the prediction by 0.
    assert slice_jumps(pred, truth, mask, axis=1) == 0.0
    assert math.isnan(slice_jumps(pred, truth, mask, axis=0))


def test_slice_jumps_skip_slices_without_mask():
    truth, pred = _row(0, 1, 500, 7, 9), _row(0, 2, -500, 3, 9)
    mask = _row(1, 1, 0, 1, 1)
    assert slice_jumps(pred, truth, mask, axis=0) == pytest.approx((2 + 6) / (1 + 2))
    assert math.isnan(slice_jumps(pred, truth, _row(1, 0, 1, 0, 1), axis=0))


def test_slice_jumps_refuse_an_unknown_axis():
    with pytest.raises(ConfigError, match="axis is 3, not one of the 3 of the volumes: use 0, 1 or 2"):
        slice_jumps(_row(0, 1), _row(0, 1), _row(1, 1), axis=3)
