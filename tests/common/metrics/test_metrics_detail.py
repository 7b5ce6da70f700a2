"""Sharpness, high-frequency error norm, slice jumps, SSIM and visual information fidelity: by hand and by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.metrics import CT_RANGE
from common.metrics.detail import hfen, sharpness, slice_jumps
from common.metrics.fidelity import vif
from common.metrics.similarity import ms_ssim, ssim


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


def test_sharpness_of_a_single_slice_mask_and_of_a_flat_truth():
    truth = _texture()
    mask = np.zeros(truth.shape)
    mask[:, :, 6] = 1
    assert sharpness(3 * truth, truth, mask) == pytest.approx(3)
    assert math.isnan(sharpness(truth, np.zeros(truth.shape), mask))


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
    assert math.isnan(hfen(truth, np.zeros(truth.shape), mask))


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


def _noise(shape, seed=0, low=-1000.0, high=2000.0):
    return np.random.default_rng(seed).uniform(low, high, shape)


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


def test_a_mask_near_the_border_alone_leaves_ssim_undefined():
    truth, mask = _noise((12, 12, 12)), np.zeros((12, 12, 12))
    mask[:3] = 1
    assert math.isnan(ssim(truth, truth, mask, CT_RANGE))
    assert math.isnan(ssim(truth[:6], truth[:6], np.ones((6, 12, 12)), CT_RANGE))


def test_a_mask_lost_on_a_coarse_level_leaves_ms_ssim_undefined():
    truth, mask = np.zeros((99, 99, 99)), np.zeros((99, 99, 99))
    mask[51, 51, 51] = 1
    assert math.isnan(ms_ssim(truth, truth, mask, CT_RANGE))


GREYS = (0.0, 255.0)


def _waves(shape=(48, 44, 2), seed=0):
    x, y, _ = np.meshgrid(*map(np.arange, shape), indexing="ij")
    noise = np.random.default_rng(seed).standard_normal(shape)
    return 120 + 50 * np.sin(x / 5) * np.cos(y / 7) + 10 * noise


def _gaussian(side):
    distance = np.arange(side) - (side - 1) / 2
    window = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * (side / 5) ** 2))
    return window / window.sum()


def _windows(image, window):
    """Every window of a slice with its weighted mean, by loops."""
    side = len(window)
    rows, columns = (length - side + 1 for length in image.shape)
    return np.array([[(window * image[i : i + side, j : j + side]).sum() for j in range(columns)] for i in range(rows)])


def _plain(pred, truth, inside):
    """Sheikh and Bovik's measure of one slice, window by window."""
    received = available = 0.0
    for scale in range(4):
        side = 2 ** (4 - scale) + 1
        window, edge = _gaussian(side), side // 2
        if scale:
            pred, truth = _windows(pred, window)[::2, ::2], _windows(truth, window)[::2, ::2]
            inside = inside[edge : inside.shape[0] - edge, edge : inside.shape[1] - edge][::2, ::2]
        for i in range(pred.shape[0] - side + 1):
            for j in range(pred.shape[1] - side + 1):
                if not inside[i + edge, j + edge]:
                    continue
                p, t = pred[i : i + side, j : j + side], truth[i : i + side, j : j + side]
                mean_p, mean_t = (window * p).sum(), (window * t).sum()
                var_p, var_t = (window * (p - mean_p) ** 2).sum(), (window * (t - mean_t) ** 2).sum()
                both = (window * (p - mean_p) * (t - mean_t)).sum()
                gain = max(both, 0) / var_t if var_t > 1e-9 and var_p > 1e-9 else 0.0
                noise = max(var_p - gain * max(both, 0), 0)
                received += math.log2(1 + gain**2 * var_t / (noise + 2))
                available += math.log2(1 + var_t / 2)
    return received, available


def test_it_equals_a_computation_window_by_window():
    truth = _waves()
    pred = 0.8 * truth + 20 + np.random.default_rng(1).normal(0, 5, truth.shape)
    pred[:20, :, 0] = 255 - pred[:20, :, 0]
    mask = np.zeros(truth.shape)
    mask[6:42, 5:40] = 1
    filled = [np.where(mask > 0, np.clip(volume, *GREYS), 0) for volume in (pred, truth)]
    slices = [_plain(filled[0][..., z], filled[1][..., z], mask[..., z] > 0) for z in range(truth.shape[2])]
    received, available = np.sum(slices, axis=0)
    assert vif(pred, truth, mask, GREYS) == pytest.approx(received / available, abs=1e-6)


def test_values_of_sewar():
    """Of ``sewar.full_ref.vifp`` 0.4.10 for these slices."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :64]
    truth = np.round(120 + 60 * np.sin(x / 5) * np.cos(y / 7) + 20 * rng.random((80, 64)))
    pred = np.clip(np.round(0.8 * truth + 15 + 6 * rng.standard_normal(truth.shape)), 0, 255)
    mask = np.ones((80, 64, 1))
    assert vif(pred[..., None], truth[..., None], mask, GREYS) == pytest.approx(0.47875735510733525, rel=1e-9)
    pred[:, :30] = 50
    assert vif(pred[..., None], truth[..., None], mask, GREYS) == pytest.approx(0.19684521898748958, rel=1e-9)


@pytest.mark.parametrize("shape", [(16, 40, 3), (4, 4, 4)])
def test_slices_without_a_window_have_no_score(shape):
    truth = np.random.default_rng(0).uniform(0, 255, shape)
    assert math.isnan(vif(truth, truth, np.ones(shape), GREYS))


def test_a_truth_without_texture_has_no_score():
    flat = np.full((40, 40, 2), 100.0)
    assert math.isnan(vif(flat, flat, np.ones(flat.shape), GREYS))
