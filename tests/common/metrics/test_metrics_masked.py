"""MAE, MSE and PSNR inside a mask by hand, and the set of measures every table shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common import metrics
from common.errors import ConfigError, DataError
from common.metrics import CT_RANGE, score
from common.metrics.masked import checked_range, mae, mse, psnr, psnr_nie, psnr_of_peak

TRUTH = np.array([0.0, 10.0, 20.0, 30.0]).reshape(2, 2, 1)
PRED = np.array([1.0, 8.0, 20.0, 1000.0]).reshape(2, 2, 1)
MASK = np.array([1, 1, 1, 0]).reshape(2, 2, 1)


def test_errors_by_hand_leave_the_background_out():
    assert mae(PRED, TRUTH, MASK) == 1.0
    assert mse(PRED, TRUTH, MASK) == pytest.approx((1 + 4 + 0) / 3)
    assert mae(PRED, TRUTH, np.ones_like(MASK)) == (1 + 2 + 0 + 970) / 4


def test_mae_of_unsigned_integers_does_not_wrap():
    pred, truth = np.zeros((2, 1, 1), np.uint16), np.full((2, 1, 1), 10, np.uint16)
    assert mae(pred, truth, np.ones((2, 1, 1))) == 10.0


def test_psnr_clips_what_mae_does_not():
    truth = np.array([3000.0, -1024.0]).reshape(2, 1, 1)
    pred = np.array([5000.0, -2024.0]).reshape(2, 1, 1)
    mask = np.ones((2, 1, 1))
    assert psnr(pred, truth, mask, CT_RANGE) == math.inf
    assert mae(pred, truth, mask) == 1500.0


def test_psnr_of_nie_by_hand():
    # inside the mask the maxima are 20 and 20, the squared errors 1, 4 and 0: 20 log10(20 / sqrt(5 / 3))
    assert psnr_nie(PRED, TRUTH, MASK) == pytest.approx(10 * math.log10(400 / (5 / 3)), rel=1e-12)
    # with the voxel outside, the prediction's 1000 is the peak; errors 1, 4, 0 and 970^2
    everywhere = np.ones_like(MASK)
    assert psnr_nie(PRED, TRUTH, everywhere) == pytest.approx(10 * math.log10(1e6 / ((5 + 970**2) / 4)), rel=1e-12)
    # the larger maximum, whichever volume has it: a truth 10 above the prediction
    assert psnr_nie(TRUTH - 10, TRUTH, everywhere) == pytest.approx(20 * math.log10(30 / 10), rel=1e-12)


def test_psnr_of_nie_feels_where_zero_lies_but_not_the_unit():
    assert psnr_nie(7 * PRED, 7 * TRUTH, MASK) == pytest.approx(psnr_nie(PRED, TRUTH, MASK), rel=1e-12)
    assert psnr_nie(PRED + 1000, TRUTH + 1000, MASK) > psnr_nie(PRED, TRUTH, MASK) + 30
    assert math.isnan(psnr_nie(PRED - 20, TRUTH - 20, MASK))  # a peak of 0 has no logarithm
    assert psnr_nie(TRUTH, TRUTH, MASK) == math.inf


def test_psnr_of_a_given_peak_by_hand():
    # squared errors 1, 4 and 0: 20 log10(30 / sqrt(5 / 3))
    assert psnr_of_peak(PRED, TRUTH, MASK, 30) == pytest.approx(20 * math.log10(30 / math.sqrt(5 / 3)), rel=1e-12)
    assert psnr_of_peak(TRUTH, TRUTH, MASK, 30) == math.inf
    assert math.isnan(psnr_of_peak(PRED, TRUTH, MASK, 0))


def test_reference_digits_of_the_large_phantom(large_phantom):
    assert mae(*large_phantom) == pytest.approx(40.757125761, rel=1e-9)
    assert psnr(*large_phantom, CT_RANGE) == pytest.approx(36.838183040, rel=1e-9)


def test_other_shape_is_refused():
    with pytest.raises(DataError, match=r"prediction has shape \(2, 1, 2\), the truth \(2, 2, 1\): resample"):
        mae(PRED.reshape(2, 1, 2), TRUTH, MASK)


def test_empty_mask_is_refused():
    with pytest.raises(DataError, match="mask is empty: pass the mask"):
        psnr(PRED, TRUTH, MASK * 0, CT_RANGE)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("position", "name"), [(0, "prediction"), (1, "truth"), (2, "mask")])
def test_values_that_are_not_finite_are_refused(position, name, bad):
    case = [PRED.copy(), TRUTH.copy(), MASK.astype(float)]
    case[position][1, 1, 0] = bad
    with pytest.raises(DataError, match=f"{name} has 1 NaN or infinite voxels: fill"):
        mae(*case)


@pytest.mark.parametrize("value_range", [(1, 1), (3000, -1024), (0, math.inf), (0, math.nan), (0, 1, 2)])
def test_ranges_without_width_are_refused(value_range):
    with pytest.raises(ConfigError, match="value_range is .*, not two numbers, the lower first"):
        checked_range(value_range)


KEYS = ["mae", "mse", "psnr", "ssim", "ms_ssim", "vif", "hfen", "sharpness"]
REFERENCE = {"mae": 40.784035406, "psnr": 36.834683615, "ssim": 0.992624388, "ms_ssim": 0.997950804}


def test_score_of_the_phantom(small_phantom):
    measures = score(*small_phantom, CT_RANGE)
    assert list(measures) == KEYS
    assert {name: measures[name] for name in REFERENCE} == pytest.approx(REFERENCE, rel=1e-6)


def test_score_of_the_truth_itself(small_phantom):
    _, truth, mask = small_phantom
    measures = score(truth, truth, mask, CT_RANGE)
    assert measures.pop("psnr") == math.inf
    expected = {"mae": 0, "mse": 0, "ssim": 1, "ms_ssim": 1, "vif": 1, "hfen": 0, "sharpness": 1}
    assert measures == pytest.approx(expected, abs=1e-9)


def test_value_range_reaches_psnr_vif_and_both_similarities(small_phantom):
    pred, truth, mask = small_phantom
    narrow, wide = score(pred, truth, mask, (-200.0, 300.0)), score(pred, truth, mask, CT_RANGE)
    assert {name for name in KEYS if narrow[name] != wide[name]} == {"psnr", "ssim", "ms_ssim", "vif"}


def test_a_range_without_a_value_of_the_truth_is_refused():
    """Clipped to it both volumes are the same, with an SSIM of 1."""
    truth, mask = np.arange(8.0).reshape(2, 2, 2), np.ones((2, 2, 2))
    mask[1, 1, 1] = 0
    for outside in ((7.0, 9.0), (-5.0, -0.5), (2.1, 2.9)):
        with pytest.raises(ConfigError, match="without a value of the truth, 0 to 6 inside the mask: widen it"):
            score(truth, truth, mask, outside)
    assert score(truth + 1, truth, mask, (6.0, 9.0))["mae"] == 1


def test_the_range_is_that_of_ct_or_of_the_target():
    assert metrics.value_range("HU", [-600, 1400]) == (-1024, 3000)
    assert metrics.value_range("a.u.", [0, 255]) == (0, 255)


def test_similarities_are_the_same_in_any_unit(small_phantom):
    pred, truth, mask = small_phantom
    scaled = score(pred / 1000.0 + 1, truth / 1000.0 + 1, mask, (-0.024, 4.0))
    for name, value in score(pred, truth, mask, CT_RANGE).items():
        factor = {"mae": 1e-3, "mse": 1e-6}.get(name, 1.0)
        # A sampled LoG kernel does not sum to exactly 0, so that HFEN feels an offset a little.
        assert scaled[name] == pytest.approx(factor * value, rel=1e-3 if name == "hfen" else 1e-6)


@pytest.mark.parametrize(
    "name",
    ["mae", "mse", "psnr", "ssim", "ms_ssim", "vif", "hfen", "sharpness", "slice_jumps", "tissue_errors", "bone_dice"],
)
def test_errors_of_the_background_never_count(small_phantom, name):
    pred, truth, mask = small_phantom
    noise = np.random.default_rng(0).uniform(-5000, 5000, pred.shape)
    measure, limits = getattr(metrics, name), [CT_RANGE] * (name in ("psnr", "ssim", "ms_ssim", "vif"))
    assert measure(np.where(mask, pred, noise), truth, mask, *limits) == measure(pred, truth, mask, *limits)
