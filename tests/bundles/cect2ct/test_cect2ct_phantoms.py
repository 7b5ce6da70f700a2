from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from cect2ct_rescyclegan.metrics import enhancement_scores
from cect2ct_rescyclegan.phantoms import write_cect2ct

from common.data.datalist import load_datalist
from common.simulation.dataset import case_seed
from common.simulation.head import head_anatomy

SPACING = 5.0
CASES = 12


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "set"
    write_cect2ct(root, cases=CASES, spacing=SPACING, seed=7)
    return root


@pytest.fixture(scope="module")
def lists(written):
    return load_datalist(written / "datalist.json")


def voxels(path):
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj)


def bone_dice(root, case):
    """Overlap of what is bone in the CECT and in the CT; the upper half, which the shift does not take out of view."""
    first, second = (voxels(root / case / f"{name}.nii.gz")[..., 20:] > 600 for name in ("cect", "ct"))
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


def test_the_datalist_has_pools_for_training_and_pairs_for_the_rest(written, lists):
    counts = {key: len(items) for key, items in lists.items()}
    assert counts == {"training_A": 8, "training_B": 8, "validation": 2, "test": 2}
    assert [item["case"] for item in lists["training_A"]] == [item["case"] for item in lists["training_B"]]
    first = lists["training_A"][0]
    folder = written / first["case"]
    paths = {"image": str(folder / "cect.nii.gz"), "mask": str(folder / "mask.nii.gz")}
    assert first == {"case": folder.name, "patient": folder.name, **paths}
    assert lists["training_B"][0]["image"] == str(folder / "ct.nii.gz")
    assert lists["training_B"][0].keys() == {"case", "patient", "image"}
    pair = lists["test"][0]
    folder = written / pair["case"]
    files = {"image": "cect", "label": "ct", "mask": "mask", "vessel": "vessel"}
    assert {key: pair[key] for key in files} == {k: str(folder / f"{name}.nii.gz") for k, name in files.items()}
    assert not (written / "datalist.json").read_text().count(str(written))


def test_training_pairs_are_misaligned_and_the_others_exact(written, lists):
    motions = json.loads((written / "dataset.json").read_text())["ct_motion"]
    for item in lists["training_A"]:
        shift, turn = (np.linalg.norm(motions[item["case"]][key]) for key in ("move_mm", "turn_degrees"))
        assert 2.0 <= shift <= 4.0
        assert 1.5 <= turn <= 3.0
        assert bone_dice(written, item["case"]) < 0.92
    for item in lists["validation"] + lists["test"]:
        assert motions[item["case"]] == {"move_mm": [0, 0, 0], "turn_degrees": [0, 0, 0]}
        assert bone_dice(written, item["case"]) > 0.98


def test_the_ct_of_a_training_case_lies_as_dataset_json_says(written, lists):
    case = lists["training_B"][0]["case"]
    motion = json.loads((written / "dataset.json").read_text())["ct_motion"][case]
    seed = case_seed(7, int(case[-3:]))
    ct = voxels(written / case / "ct.nii.gz")
    still = head_anatomy(seed, SPACING)
    moved = head_anatomy(seed, SPACING, tuple(motion["move_mm"]), tuple(motion["turn_degrees"]))
    errors = [np.count_nonzero((ct > -500) != anatomy.head) for anatomy in (still, moved)]
    assert errors[1] < 0.3 * errors[0]


def test_masks_belong_to_the_cect(written, lists):
    folder = written / lists["training_A"][0]["case"]
    cect, mask, vessel = (voxels(folder / f"{name}.nii.gz") for name in ("cect", "mask", "vessel"))
    assert set(np.unique(mask)) == set(np.unique(vessel)) == {0, 1}
    assert not (vessel & ~mask & 1).any()
    assert np.mean((cect > -500) == (mask > 0)) > 0.97
    # At 5 mm only sinuses and carotids fill half a voxel; iodine lifts them far above brain.
    assert 20 < vessel.sum() < 400
    assert np.median(cect[vessel > 0]) > 100


def test_vessels_stand_out_from_the_aligned_ct_alone(written, lists):
    item = lists["test"][0]
    difference = voxels(item["image"]).astype(float) - voxels(item["label"])
    vessel, mask = voxels(item["vessel"]) > 0, voxels(item["mask"]) > 0
    assert 80 < difference[vessel].mean() < 400
    assert -1 < np.median(difference[mask & ~vessel]) < 6


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
