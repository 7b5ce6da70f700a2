"""The set of measures every table shows: identity, the phantom, and the background that never counts."""

import math

import numpy as np
import pytest

from common import metrics
from common.errors import ConfigError
from common.metrics import CT_RANGE, score

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


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "name", ["mae", "mse", "psnr", "ssim", "ms_ssim", "hfen", "sharpness", "slice_jumps", "tissue_errors", "bone_dice"]
)
def test_errors_of_the_background_never_count(small_phantom, name, seed):
    pred, truth, mask = small_phantom
    noise = np.random.default_rng(seed).uniform(-5000, 5000, pred.shape)
    measure, limits = getattr(metrics, name), [CT_RANGE] * (name in ("psnr", "ssim", "ms_ssim"))
    assert measure(np.where(mask, pred, noise), truth, mask, *limits) == measure(pred, truth, mask, *limits)
