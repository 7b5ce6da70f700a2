"""The overlay that synthesises FLAIR: phantoms, a training of two channels, and scores of its lesions."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from bundle_commands import TINY, Bundle, ok, voxels
from mr2ct_pix2pix.lesions import FlairLesions
from mr2ct_pix2pix.phantoms import write_flair

from common.transforms import head_mask

BUNDLE = Bundle("mr2ct_pix2pix")
SPACING = 5.0
NETWORK = {"network_def::features": [4, 4, 4, 4, 4, 4], "spacing": None}
"""Settings of the overlay that others are given for, in its evaluation too."""
SMALL = {**TINY, **NETWORK, "width": 2, "crop_size": 32, "pad_size": 48}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("flair") / "data"
    write_flair(root, cases=4, spacing=SPACING, seed=7)
    return root


@pytest.fixture(scope="module")
def run(written, tmp_path_factory) -> Path:
    """A training of a few steps."""
    folder = tmp_path_factory.mktemp("flair_run")
    ok(BUNDLE.run("training", ["train", "flair"], dataset_dir=written, output_dir=folder, **SMALL))
    return folder


def test_inference_writes_hundredths_of_the_standard_deviation_around_400(written, run):
    """From the training's folder alone; the network's own output in [-1, 1] is 500 (x + 1), air is 0."""
    told = json.loads((run / "models" / "model.json").read_text())
    assert told["settings"]["output"] == {"modality": "MR", "unit": "a.u.", "suffix": "synthetic_flair"}
    assert (told["trained_on"]["source"], told["trained_on"]["target"]) == ("t1,t2", "flair")
    ok(BUNDLE.run("inference", ["inference"], output_dir=run, dataset_dir=written))
    made = voxels(run / "predictions" / "phantom_000_synthetic_flair.nii.gz")
    assert made.shape == (40, 48, 40)
    assert made.min() >= 0
    assert 0 < made.max() <= 1000
    assert json.loads((run / "predictions" / "phantom_000_synthetic_flair.json").read_text())["Unit"] == "a.u."


def test_the_evaluation_is_in_z_scores_of_the_truth(written, run):
    ok(BUNDLE.run("evaluating", ["train", "evaluate", "flair"], output_dir=run, dataset_dir=written, **NETWORK))
    rows = pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")
    case = written / rows.loc["model", "case"]
    ok(BUNDLE.run("inference", ["inference"], output_dir=run, dataset_dir=case.parent, overwrite="true"))
    made = voxels(run / "predictions" / f"{case.name}_synthetic_flair.nii.gz") / 100 - 4
    head = head_mask(voxels(case / "t1.nii.gz").astype(np.float32), None, 2, case.name)
    truth = voxels(case / "flair.nii.gz").astype(float)
    truth = (truth - truth[head].mean()) / truth[head].std(ddof=1)
    inside = voxels(case / "mask.nii.gz") > 0
    assert rows.loc["model", "mae"] == pytest.approx(np.abs(made - truth)[inside].mean(), abs=0.005)
    assert rows.loc["linear_fit", "mae"] < 1


@pytest.mark.slow
def test_a_calibration_is_in_z_scores_of_which_an_inference_keeps_no_scale(written, run, tmp_path):
    """A network of a few steps is about a deviation off; in grey values of the phantoms it were hundreds."""
    write_flair(tmp_path / "unseen", cases=8, spacing=SPACING, seed=8)
    items = [
        {
            "case": case.name,
            "image": [str(case / "t1.nii.gz"), str(case / "t2.nii.gz")],
            "label": str(case / "flair.nii.gz"),
        }
        for case in sorted((tmp_path / "unseen").glob("phantom_*"))
    ]
    (tmp_path / "list.json").write_text(json.dumps({"test": items}))
    given = {"output_dir": run, "datalist": tmp_path / "list.json", "section": "test", "case_level": 0.8, **NETWORK}
    ok(BUNDLE.run("calibrating", ["train", "evaluate", "flair"], **given))
    told = json.loads((run / "models" / "model_trust.json").read_text())
    assert (told["unit"], told["intervals"].keys()) == ("z", {"all"})
    assert 0.2 < told["limits"]["expected_mae"] < 5
    places = {"output_dir": run, "dataset_dir": written, "predictions_dir": tmp_path / "out"}
    done = BUNDLE.run("inference", ["inference"], uncertainty="true", **places)
    assert done.returncode == 2
    assert "--uncertainty is calibrated in z-scores, and these weights keep no scale in a.u.: omit it" in done.stderr
    assert not (tmp_path / "out").exists()


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
