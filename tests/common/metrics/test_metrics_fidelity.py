"""Visual information fidelity: one window by hand, a plain computation with loops, and what it ignores."""

import math

import numpy as np
import pytest

from common.metrics.fidelity import vif

GREYS = (0.0, 255.0)


def _texture(shape=(48, 44, 2), seed=0):
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
    truth = _texture()
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


def test_identity_is_1_and_lost_or_inverted_texture_is_0():
    truth, mask = _texture(), np.ones((48, 44, 2))
    assert vif(truth, truth, mask, GREYS) == pytest.approx(1, abs=1e-9)
    assert vif(np.full_like(truth, 120), truth, mask, GREYS) == 0
    assert vif(240 - truth, truth, mask, GREYS) < 0.02


def test_it_is_the_same_in_any_unit_and_ignores_the_background():
    truth = _texture()
    pred = truth + np.random.default_rng(1).normal(0, 5, truth.shape)
    mask = np.zeros(truth.shape)
    mask[4:40, 4:40] = 1
    score = vif(pred, truth, mask, GREYS)
    low, high = -1000.0, 3000.0
    in_hu = [volume / 255 * (high - low) + low for volume in (pred, truth)]
    assert vif(*in_hu, mask, (low, high)) == pytest.approx(score, rel=1e-9)
    assert vif(np.where(mask > 0, pred, -5000), np.where(mask > 0, truth, 70), mask, GREYS) == score


@pytest.mark.parametrize("shape", [(16, 40, 3), (4, 4, 4)])
def test_slices_without_a_window_have_no_score(shape):
    truth = np.random.default_rng(0).uniform(0, 255, shape)
    assert math.isnan(vif(truth, truth, np.ones(shape), GREYS))


def test_a_truth_without_texture_has_no_score():
    flat = np.full((40, 40, 2), 100.0)
    assert math.isnan(vif(flat, flat, np.ones(flat.shape), GREYS))
