"""Scores by region on eight voxels, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri2pet_sketcher_refiner.metrics import demyelination_dice, peak_scores, region_scores, white_matter_threshold


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float).reshape(1, 8, 1)


# two lesion voxels, four of NAWM, one of grey matter, one outside the mask
LESION = column(1, 1, 0, 0, 0, 0, 0, 0)
NAWM = column(0, 0, 1, 1, 1, 1, 0, 0)
MASK = column(1, 1, 1, 1, 1, 1, 1, 0)
TRUTH = column(2, 4, 10, 12, 10, 8, 5, 99)
PRED = column(3, 7, 9, 12, 5, 10, 50, -99)
# NAWM of the truth: mean 10, deviations 0, 2, 0, -2: sd sqrt(2), threshold 10 - 2 sqrt(2) = 7.17
# below it: truth voxels 0, 1; prediction 0, 1, 4: Dice 2 * 2 / (2 + 3)
EXPECTED = {
    "lesion_error": (1 + 3) / 2,
    "nawm_error": (1 + 0 + 5 + 2) / 4,
    "lesion_contrast": 5 / 9,
    "lesion_contrast_truth": 3 / 10,
    "demyelination_dice": 4 / 5,
}


def test_scores_by_hand():
    assert region_scores(PRED, TRUTH, LESION, NAWM, MASK) == pytest.approx(EXPECTED)
    assert region_scores(PRED, TRUTH, LESION, NAWM) == pytest.approx(EXPECTED)
    assert region_scores(PRED, TRUTH, LESION > 0, NAWM > 0, MASK > 0) == pytest.approx(EXPECTED)


def test_the_peak_is_that_of_the_truth_inside_the_mask():
    # squared errors inside: 1, 9, 1, 0, 25, 4 and 45^2; neither the prediction's 50 nor the 99 outside is the peak
    expected = {"psnr_peak": 10 * math.log10(12**2 / ((40 + 45**2) / 7)), "peak_truth": 12}
    assert peak_scores(PRED, TRUTH, MASK) == pytest.approx(expected)
    below_zero = peak_scores(PRED - 20, TRUTH - 20, MASK)
    assert below_zero["peak_truth"] == -8
    assert math.isnan(below_zero["psnr_peak"])


def test_a_voxel_of_both_regions_is_lesion():
    assert region_scores(PRED, TRUTH, LESION, np.maximum(LESION, NAWM), MASK) == pytest.approx(EXPECTED)


def test_regions_do_not_count_outside_the_mask():
    outside = column(0, 0, 0, 0, 0, 0, 0, 1)
    scores = region_scores(PRED, TRUTH, LESION + outside, NAWM + outside, MASK)
    assert scores == pytest.approx(EXPECTED)


@pytest.mark.parametrize("lesion", [None, LESION * 0, column(0, 0, 0, 0, 0, 0, 0, 1)])
def test_a_case_without_lesion_is_a_control(lesion):
    assert region_scores(PRED, TRUTH, lesion, NAWM, MASK) == {"control_wm_error": 2.0}


def test_rows_of_absent_regions_are_left_out():
    assert region_scores(PRED, TRUTH, LESION, None, MASK) == {"lesion_error": 2.0}
    assert region_scores(PRED, TRUTH, mask=MASK) == {}
    assert region_scores(PRED, TRUTH) == {}


def test_contrast_needs_a_zero_below_the_white_matter():
    scores = region_scores(PRED - 20, TRUTH - 5, LESION, NAWM, MASK)
    assert "lesion_contrast" not in scores
    assert scores["lesion_contrast_truth"] == pytest.approx((3 - 5) / (10 - 5))


def test_demyelination_maps_that_are_empty():
    region = LESION + NAWM
    assert demyelination_dice(PRED, TRUTH, region, threshold=1) == 1  # neither has a voxel: they agree
    assert demyelination_dice(PRED, TRUTH, region, threshold=2.5) == 0  # the truth alone has one
    assert white_matter_threshold(TRUTH, NAWM) == pytest.approx(10 - 2 * np.sqrt(2))
