"""Low dose from real CT: the slices that are judged, and the intervals of differences to the input."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from tools.real.low_dose import differences, middle


def test_the_middle_axial_slices_keep_their_place(tmp_path) -> None:
    values = np.arange(10)[None, :, None] + np.zeros((3, 1, 4), np.float32)  # axial slices along the second axis
    affine = np.array([[2.0, 0, 0, 0], [0, 0, 1.5, 0], [0, 5.0, 0, -20], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "ct.nii.gz")
    cut = nib.load(middle(tmp_path / "ct.nii.gz", tmp_path / "judged" / "ct.nii.gz", 4))
    assert cut.shape == (3, 4, 4)
    assert np.asarray(cut.dataobj)[0, 0].tolist() == [3, 4, 5, 6]
    assert cut.affine[2, 3] == -20 + 3 * 5
    assert nib.load(middle(tmp_path / "ct.nii.gz", tmp_path / "all.nii.gz", 40)).shape == (3, 4, 10)


def test_differences_are_paired_by_case_with_the_interval_of_student() -> None:
    errors = {"copy_input": [10.0, 20.0, 30.0, 40.0], "model": [9.0, 18.0, 27.0, 36.0], "nlm": [12.0, 20.0, 30.0, 40.0]}
    rows = [
        {"case": f"c{number}", "method": name, "mae": value}
        for name, values in errors.items()
        for number, value in enumerate(values)
    ]
    found = differences(pd.DataFrame(rows[::-1]), "mae")
    assert list(found.index) == ["model", "nlm"]
    # -1, -2, -3, -4: mean -2.5, deviation 1.29099, of four; t(3, 97.5 %) = 3.18245
    assert found.loc["model"].tolist() == pytest.approx([-2.5, -2.5 - 2.05426, -2.5 + 2.05426], abs=1e-4)
    assert found.loc["nlm"].tolist() == pytest.approx([0.5, 0.5 - 1.59122, 0.5 + 1.59122], abs=1e-4)
