"""Contrast of lesions against arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import DataError
from common.metrics import lesion_ratio, lesion_scores


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
