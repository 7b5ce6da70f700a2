"""The queue of trainings, and the cases of low-dose CT and of fast MR that it trains on."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image

from tools.checks.train_weights import fast_mr, low_dose


def test_a_coarser_copy_has_the_means_of_blocks_at_their_centres():
    values = np.arange(3 * 4 * 2, dtype=np.float32).reshape(3, 4, 2)
    copy = low_dose.coarser(Nifti1Image(values, np.diag([2.0, 3, 5, 1])), (2, 2, 1))
    assert copy.shape == (1, 2, 2)
    assert copy.get_fdata()[0, 0, 0] == (0 + 2 + 8 + 10) / 4
    assert (copy.affine[:3, 3] == [1, 1.5, 0]).all()
    assert (copy.affine.diagonal() == [4, 6, 5, 1]).all()


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_slices_of_the_validation_are_not_trained_on(thickness):
    slices = 100 // thickness
    first = low_dose.first_slices(slices, "training", thickness)
    assert min(first) * thickness >= low_dose.LOWEST + low_dose.GAP
    assert max(first) + low_dose.SLICES["training"] >= slices
    assert low_dose.first_slices(100, "validation", 1) == [0]


def test_no_volume_of_an_evaluated_patient_is_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    for number, patient in enumerate(fast_mr.PATIENTS):
        (tmp_path / "data" / patient).mkdir(parents=True)
        lesions = np.zeros((18, 16, 22), np.uint8)
        lesions[4:6, 4:6, number + 2 : number + 18] = 1
        volumes = {name: rng.uniform(-0.1, 1, lesions.shape).astype(np.float32) for name in fast_mr.CONTRASTS}
        for name, volume in {**volumes, "lesions": lesions}.items():
            nib.save(Nifti1Image(volume, np.eye(4)), tmp_path / "data" / patient / f"{name}.nii.gz")
    fast_mr.write_cases(tmp_path / "data", tmp_path / "out", None, heads=1, calibration=1)
    for number, patient in enumerate(fast_mr.PATIENTS):
        fold = json.loads((tmp_path / "out" / f"{patient}.json").read_text())
        assert len(fold["training"]) == 2 * 3 * 5 + 1
        assert not any(item["case"].startswith(patient) for item in fold["training"])
        assert [item["case"].startswith(f"{patient}_flair") for item in fold["test"]] == [True, True]
        for item in fold["test"]:
            lesion = nib.load(tmp_path / "out" / item["lesion"])
            assert lesion.get_fdata()[4, 4].tolist() == [1] * 16
            assert lesion.affine[2, 3] == number + 2
            assert (tmp_path / "out" / item["image"]).is_file()
    assert len(json.loads((tmp_path / "out" / "all.json").read_text())["training"]) == 3 * 3 * 5 + 1
    (held_out,) = json.loads((tmp_path / "out" / "held_out.json").read_text())["test"]
    head, other = (nib.load(tmp_path / "out" / case / "mr.nii.gz") for case in ("head_000", held_out["case"]))
    assert head.shape != other.shape or np.any(head.get_fdata() != other.get_fdata())
    assert head.shape[2] == fast_mr.SLAB
    assert 0.1 < np.mean(head.get_fdata() > 0.1) < 0.9
