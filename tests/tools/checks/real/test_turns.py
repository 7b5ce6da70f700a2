from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tools.checks.real import turns

TASK = "T1 and T2 to FLAIR"


@pytest.fixture
def patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three boxes in air whose FLAIR is 2 T1 - T2 + 300, with a lesion of eight voxels each."""
    monkeypatch.setattr(turns, "DATA", tmp_path)
    for number in range(3):
        t1, t2 = np.random.default_rng(number).uniform(100, 200, (2, 12, 12, 12))
        inside, lesion = np.zeros((2, 20, 20, 20), bool)
        inside[4:16, 4:16, 4:16], lesion[8:10, 8:10, 8:10] = True, True
        scans = {"t1": t1, "t2": t2, "flair": 2 * t1 - t2 + 300}
        for name, scan in scans.items():
            volume = np.zeros(inside.shape, np.float32)
            volume[inside] = scan.ravel()
            save(tmp_path / f"patient{number}" / f"{name}.nii.gz", volume)
        save(tmp_path / f"patient{number}" / "lesions.nii.gz", lesion.astype(np.uint8))


def save(path: Path, volume: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), path)


def test_a_line_of_the_others_is_exact_where_the_target_is_one_and_scores_say_so(patients: None) -> None:
    image = turns.line(TASK, "patient1")
    found = turns.scores(TASK, "patient1", 5 * image + 7)  # grey scales are arbitrary
    assert found["MAE, z"] < 0.05  # means and spreads of the patients differ a little
    assert found["lesion contrast of the real"] == pytest.approx(1, abs=0.1)
    assert found["lesion Dice"] == pytest.approx(found["lesion Dice of the real"], abs=0.05)
    assert turns.scores(TASK, "patient1", -image)["MAE, z"] == pytest.approx(found["MAE, z"], abs=1e-5)


def test_a_line_does_not_see_the_target_of_the_patient_left_out(patients: None, tmp_path: Path) -> None:
    before = turns.line(TASK, "patient1")
    save(tmp_path / "patient1" / "flair.nii.gz", np.random.default_rng(9).uniform(size=(20, 20, 20)))
    assert np.array_equal(turns.line(TASK, "patient1"), before)
    save(tmp_path / "patient2" / "flair.nii.gz", np.random.default_rng(9).uniform(size=(20, 20, 20)))
    assert not np.allclose(turns.line(TASK, "patient1"), before)
