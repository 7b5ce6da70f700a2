from __future__ import annotations

import numpy as np
import pytest
from cect2ct_rescyclegan.metrics import enhancement_scores

# two vessel voxels, then parenchyma, parenchyma, bone, air, and one voxel outside the mask
TRUTH = np.array([45.0, 45, 30, 40, 900, -1000, 0]).reshape(1, 7, 1)
SOURCE = np.array([345.0, 245, 34, 44, 900, -1000, 0]).reshape(1, 7, 1)
PRED = np.array([105.0, 65, 33, 45, 902, -1000, 77]).reshape(1, 7, 1)
MASK = np.array([1, 1, 1, 1, 1, 1, 0]).reshape(1, 7, 1)
VESSEL = np.array([1, 1, 0, 0, 0, 0, 0]).reshape(1, 7, 1)


def test_scores_by_hand():
    assert enhancement_scores(PRED, SOURCE, MASK, VESSEL, TRUTH) == pytest.approx(
        {
            "residual_outside": (1 + 1 + 2 + 0) / 4,
            "vessel_removed": (240 + 180) / 2,
            "vessel_mae": (60 + 20) / 2,
            "vessel_excess": 40 / 250,
            "bias_outside": (3 + 5 + 2 + 0) / 4,
            "bias_bone": 2,
            "bias_parenchyma": 4,
            "bias_air": 0,
        }
    )


def test_copying_leaves_the_whole_excess():
    assert enhancement_scores(SOURCE, SOURCE, MASK, VESSEL, TRUTH)["vessel_excess"] == 1


def test_measures_without_a_truth():
    assert set(enhancement_scores(PRED, SOURCE, MASK, VESSEL)) == {"residual_outside", "vessel_removed"}
    assert set(enhancement_scores(PRED, SOURCE, MASK)) == {"residual_outside"}
