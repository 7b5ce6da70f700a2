"""Lesions on synthetic FLAIR: their brightness relative to white matter, and the overlap of what a threshold finds."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mr2ct_pix2pix.lesions import FlairLesions

HEAD = np.zeros((6, 6, 6), bool)
HEAD[1:5, 1:5, 1:5] = True
LESION = np.zeros_like(HEAD)
LESION[2, 2, 1:5] = True
NAWM = np.zeros_like(HEAD)
NAWM[3, 3, 1:5] = True


def item(folder: Path, brightest: float) -> dict[str, str]:
    """A case whose FLAIR is 100 in the head, and in its lesions 300 but for one voxel of another brightness."""
    flair = np.where(LESION, 300.0, np.where(HEAD, 100.0, 0.0))
    flair[2, 2, 1] = brightest
    paths = {"case": "one"}
    for key, values in {"image": 100.0 * HEAD + NAWM, "label": flair, "lesion": 1.0 * LESION}.items():
        nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), folder / f"{key}.nii")
        paths[key] = str(folder / f"{key}.nii")
    return paths


@pytest.fixture
def scored(tmp_path):
    return FlairLesions({"training": [item(tmp_path, 300.0)]})


def test_the_threshold_separates_the_lesions_of_the_training_cases(scored):
    """Of 64 voxels 4 are lesions: in z-scores these are at 3.8, the others at -.26, so 0 is the first that fits."""
    truth = np.where(LESION, 3.8, np.where(HEAD, -0.26, -1.0))
    pred = truth.copy()
    pred[2, 2, 1:3] = -0.1  # two of four lesion voxels are missed
    pred[4, 4, 4] = 1.0  # and another is found
    made = scored(pred, truth, HEAD, LESION)
    assert scored.threshold == 0
    assert made == {"lesion_dice": pytest.approx(2 * 2 / (3 + 4)), "lesion_dice_truth": 1}


def test_a_lesion_as_dark_as_the_brain_is_given_up_for_fewer_false_ones(tmp_path):
    scored = FlairLesions({"training": [item(tmp_path, 100.0)]})
    truth = np.where(LESION, 3.8, -0.26)
    assert scored(truth, truth, HEAD, LESION)["lesion_dice"] == 1
    assert scored.threshold == 0


def test_the_ratio_is_of_grey_values_above_the_true_background(scored):
    truth = np.where(LESION, 4.0, np.where(NAWM, 1.0, np.where(HEAD, 0.0, -2.0)))
    pred = np.where(LESION, 1.0, truth) + np.where(HEAD, 0.0, 5.0)  # what it has outside the head does not matter
    made = scored(pred, truth, HEAD, LESION, NAWM)
    assert made["lesion_ratio"] == (1 + 2) / (1 + 2)
    assert made["lesion_ratio_truth"] == (4 + 2) / (1 + 2)


def test_cases_and_trainings_without_lesions_have_no_scores(tmp_path):
    volume = np.where(HEAD, 1.0, 0.0)
    assert FlairLesions({"training": []})(volume, volume, HEAD, np.zeros_like(HEAD)) == {}
    assert FlairLesions({"training": []})(volume, volume, HEAD, LESION) == {}
