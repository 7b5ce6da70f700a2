import math

import pytest
from lesion_dcgan_aug.study.report import classification_scores

MATRIX = [[8, 1, 1], [2, 3, 0], [0, 1, 4]]
"""Ten cases of the first class, five of each other."""


def test_overall_scores_by_hand():
    scores = classification_scores(MATRIX, ["a", "b", "c"])
    assert scores["sensitivity"] == pytest.approx(15 / 20), "weighted by cases it is the accuracy"
    assert scores["specificity"] == pytest.approx((10 * 0.8 + 5 * 13 / 15 + 5 * 14 / 15) / 20)
    assert scores["balanced_accuracy"] == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert [scores[f"sensitivity_{name}"] for name in "abc"] == pytest.approx([8 / 10, 3 / 5, 4 / 5])
    assert [scores[f"specificity_{name}"] for name in "abc"] == pytest.approx([8 / 10, 13 / 15, 14 / 15])


def test_a_class_without_cases_is_undefined_and_left_out():
    scores = classification_scores([[3, 1, 0], [0, 4, 0], [0, 0, 0]], ["a", "b", "c"])
    assert math.isnan(scores["sensitivity_c"])
    assert scores["specificity_c"] == 1.0
    assert scores["balanced_accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert scores["sensitivity"] == pytest.approx(7 / 8)
