"""CT errors by tissue, the overlap of bone and the contrast of lesions, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import DataError
from common.metrics import lesion_ratio, lesion_scores
from common.metrics.detail import slice_jumps
from common.metrics.tissue import (
    air_dice,
    bone_dice,
    ct_scores,
    outside_errors,
    tissue_errors,
    tissue_order,
)

# Two voxels of air, four of soft tissue (both thresholds belong to it), three of bone; the last one is background.
TRUTH = np.array([-1000, -201, -200, 0, 50, 250, 251, 900, 1200, 2000], float).reshape(1, 10, 1)
PRED = np.array([-990, -231, -180, 0, 30, 254, 250, 800, 1201, -1000], float).reshape(1, 10, 1)
MASK = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 0]).reshape(1, 10, 1)


def test_errors_of_each_tissue_by_hand():
    assert tissue_errors(PRED, TRUTH, MASK) == {
        "mae_air": (10 + 30) / 2,
        "bias_air": (10 - 30) / 2,
        "mae_soft": (20 + 0 + 20 + 4) / 4,
        "bias_soft": (20 + 0 - 20 + 4) / 4,
        "mae_bone": (1 + 100 + 1) / 3,
        "bias_bone": (-1 - 100 + 1) / 3,
    }


def test_a_tissue_the_truth_lacks_is_undefined():
    truth = np.full((2, 2, 2), 40.0)
    errors = tissue_errors(truth + 500, truth, np.ones((2, 2, 2)))
    assert {name for name, value in errors.items() if math.isnan(value)} == {
        "mae_air", "bias_air", "mae_bone", "bias_bone",
    }  # fmt: skip
    assert errors["bias_soft"] == 500


def test_dice_of_bone_by_hand():
    # Bone of the prediction: 254, 800, 1201; of the truth: 251, 900, 1200; both: the last two.
    assert bone_dice(PRED, TRUTH, MASK) == pytest.approx(2 * 2 / (3 + 3))


def test_dice_of_bone_at_its_ends():
    soft, bone, mask = np.zeros((2, 1, 1)), np.full((2, 1, 1), 800.0), np.ones((2, 1, 1))
    assert bone_dice(bone, bone, mask) == 1.0
    assert bone_dice(soft, bone, mask) == 0.0
    assert math.isnan(bone_dice(soft, soft, mask))


def test_dice_of_air_cavities_by_hand():
    # Below -500 HU inside the mask: two voxels of the prediction, two of the truth, one of both; the edge is no cavity.
    truth = np.array([-1000, -501, -499, 40, -1000], float).reshape(1, 5, 1)
    pred = np.array([-900, -400, -600, 40, -1000], float).reshape(1, 5, 1)
    mask = np.array([1, 1, 1, 1, 0]).reshape(1, 5, 1)
    assert air_dice(pred, truth, mask) == pytest.approx(2 * 1 / (2 + 2))
    assert ct_scores(pred, truth, mask)["air_dice"] == air_dice(pred, truth, mask)
    assert math.isnan(air_dice(truth, truth, truth > -400))


def test_order_of_tissues_by_their_medians():
    ct = np.array([8, 9, 400, 30, 31, 32, 40, 41, 42], float).reshape(1, 9, 1)
    regions = {"fluid": slice(0, 3), "white": slice(3, 6), "grey": slice(6, 9)}
    masks = {name: np.isin(np.arange(9), np.arange(9)[part]).reshape(1, 9, 1) for name, part in regions.items()}
    assert tissue_order(ct, masks) == {"fluid": 9, "white": 31, "grey": 41, "ordered": 1}
    assert tissue_order(-ct, masks) == {"fluid": -9, "white": -31, "grey": -41, "ordered": 0}
    assert tissue_order(np.full(ct.shape, 30.0), masks)["ordered"] == 0, "tissues of one value are not told apart"
    with pytest.raises(DataError, match="mask is empty"):
        tissue_order(ct, {"fluid": np.zeros(ct.shape)})


def test_errors_outside_the_mask_by_hand():
    """Outside: air given air, air given tissue, a couch given air: errors 0, 1040, 800; one of two voxels of air."""
    truth, mask = np.array([[[40.0, -1000, -1000, -200]]]), np.array([[[1, 0, 0, 0]]])
    pred = np.array([[[0.0, -1000, 40, -1000]]])
    assert outside_errors(pred, truth, mask) == {"mae_outside": pytest.approx(1840 / 3), "tissue_outside": 0.5}
    assert ct_scores(pred, truth, mask).items() >= outside_errors(pred, truth, mask).items()
    assert np.isnan(list(outside_errors(pred, truth, np.ones(truth.shape)).values())).all()


def test_ct_scores_holds_the_worst_axis_of_the_slice_jumps():
    rng = np.random.default_rng(3)
    truth = rng.normal(40, 20, (6, 7, 8))
    pred = truth + np.array([0, 90, 0, 90, 0, 90, 0, 90])  # flickers along the last axis alone
    scores = ct_scores(pred, truth, np.ones(truth.shape))
    assert scores["slice_jumps"] == pytest.approx(slice_jumps(pred, truth, np.ones(truth.shape), axis=2))
    assert scores["slice_jumps"] > 5
    assert scores["bias_soft"] == pytest.approx(45)
    assert ct_scores(pred, truth, np.ones(truth.shape), unit="a.u.") == {"slice_jumps": scores["slice_jumps"]}


def test_contrast_of_lesions_by_arithmetic():
    truth, lesion = np.full((40, 20, 10), 50.0), np.zeros((40, 20, 10))
    lesion[8:12, 8:12, 3:7] = lesion[28:32, 8:12, 3:7] = 1
    truth[8:12, 8:12, 3:7], truth[28:32, 8:12, 3:7] = 90, 30
    pred = truth.copy()
    pred[8:12, 8:12, 3:7], pred[28:32, 8:12, 3:7] = 82, 35
    inside = np.ones_like(truth)
    # Contrasts 40 and -20 become 32 and -15: (32 x 40 + 15 x 20) / (40^2 + 20^2)
    assert lesion_scores(pred, truth, inside, lesion, np.eye(4)) == {"contrast_recovery": pytest.approx(1580 / 2000)}
    assert lesion_scores(pred + 7, truth, inside, lesion, np.eye(4))["contrast_recovery"] == pytest.approx(0.79)
    assert np.isnan(lesion_scores(pred, truth, inside, 0 * lesion, np.eye(4))["contrast_recovery"])
    with pytest.raises(DataError, match="lesion has shape .*, the truth "):
        lesion_scores(pred, truth, inside, lesion[1:], np.eye(4))


def test_the_ratio_is_of_the_means_over_the_regions():
    volume = np.array([30.0, 50.0, 20.0, 30.0, 900.0])
    assert lesion_ratio(volume, [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]) == 40 / 25


def test_there_is_no_ratio_to_white_matter_without_signal_or_voxels():
    assert math.isnan(lesion_ratio([5.0, -1.0], [1, 0], [0, 1]))
    assert math.isnan(lesion_ratio([5.0, 1.0], [1, 0], [0, 0]))
