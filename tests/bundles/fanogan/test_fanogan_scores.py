"""Scores of maps by hand, and the maps without a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brain_fanogan.baselines import GRID, TrainingMean, brightness
from brain_fanogan.scores import best_threshold, detection_scores, residual, slice_auroc


def test_the_threshold_has_the_best_overlap() -> None:
    """From 3 on: Dice 2 x 2 / (3 + 2); from 4 on 2 x 1 / (2 + 2), from 2 on 2 x 2 / (4 + 2)."""
    scores, lesion = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([False, False, True, False, True])
    assert best_threshold(scores, lesion) == 3


def test_scores_of_four_voxels_by_hand() -> None:
    """Two of the four pairs of lesion and healthy voxel are in order; a voxel outside the brain does not count."""
    pred = np.array([0.0, 2.0, 1.0, 3.0, 9.0]).reshape(5, 1, 1)
    mask = np.array([True, True, True, True, False]).reshape(5, 1, 1)
    lesion = np.array([False, True, True, False, False]).reshape(5, 1, 1)
    found = detection_scores(pred, mask, lesion, threshold=2)
    # precision 1/2 at the first lesion voxel, 2/3 at the second, each for half of the recall
    assert found == pytest.approx({"auroc": 0.5, "auprc": (1 / 2 + 2 / 3) / 2, "dice": 2 / 4, "best_dice": 4 / 5})


def test_slices_are_ranked_by_the_sum_of_squares_over_the_brain() -> None:
    """8, 1 (a voxel outside does not count), 5 and none; of the two pairs one is in order."""
    pred = np.array([[[2.0, 2.0]], [[1.0, 1.0]], [[1.0, 2.0]], [[9.0, 9.0]]])
    mask = np.array([[[True, True]], [[True, False]], [[True, True]], [[False, False]]])
    lesion = np.array([[[False, False]], [[False, False]], [[True, False]], [[False, False]]])
    assert slice_auroc(pred, mask, lesion) == 0.5


def test_the_residual_is_the_mean_inside_the_brain() -> None:
    assert residual(np.array([1.0, 2.0, 9.0]), np.zeros(3), np.array([1, 1, 0])) == 1.5


def brain(bright: float = 0.0) -> np.ndarray:
    """A ball of two tissues with air around it, and a bright spot."""
    x, y, z = np.indices((24, 26, 22)) - np.array([12, 13, 11])[:, None, None, None]
    volume = np.where(x**2 + y**2 + z**2 < 80, np.where(z > 0, 600.0, 400.0), 0.0)
    volume[14:16, 12:14, 8:10] += bright
    return volume


def test_brightness_is_a_z_score_with_the_least_outside() -> None:
    scores, inside = brightness(brain(300.0)), brain() > 0
    assert scores[inside].mean() == pytest.approx(0, abs=1e-9)
    assert scores[inside].std(ddof=1) == pytest.approx(1)
    assert np.all(scores[~inside] == scores[inside].min())


def test_distance_from_the_training_mean() -> None:
    def load(item):
        return {"image": torch.from_numpy(item["image"])[None]}

    healthy, ill = {"image": brain()}, {"image": brain(300.0), "lesion": "a.nii.gz"}
    found = TrainingMean([healthy, ill], load)
    assert np.abs(found(brain())).max() == pytest.approx(0, abs=1e-9), "the ill one does not count"
    marked = found(brain(300.0))
    assert np.unravel_index(marked.argmax(), marked.shape) in [
        (x, y, z) for x in (14, 15) for y in (12, 13) for z in (8, 9)
    ]
    assert np.all(marked[brain() == 0] == 0)
    assert found._moments is not None
    assert found._moments[0].shape == GRID
