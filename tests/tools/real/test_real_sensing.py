"""Compressed sensing beside weights: the slices that are judged, and the scores of perfect and of poor images."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_dagan import degrade

from tools.real.sensing import judged, main


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A ball with a bright lesion in slices 8 to 11 of 20, axes to left and back, and its twofold k-space."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (48, 40, 20)), indexing="ij")
    lesion = np.zeros(x.shape, np.float32)
    lesion[20:26, 18:23, 8:12] = 1
    truth = np.where(x**2 + y**2 + z**2 < 0.8, 600 + 150 * np.sin(9 * x) * np.cos(7 * y), 0) + 300 * lesion
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    given = tmp_path / "given" / "one"
    given.mkdir(parents=True)
    for name, volume in (("mr", truth), ("lesion", lesion)):
        nib.save(nib.Nifti1Image(volume.astype(np.float32), affine), given / f"{name}.nii.gz")
    words = ["undersample", "--acceleration", "2", "--kspace", "--dataset_dir", str(given.parent)]
    assert degrade.main([*words, "--out", str(tmp_path / "pairs")]) == 0
    return tmp_path / "pairs" / "one"


def test_the_truth_is_perfect_and_sensing_is_better_than_zero_filling(case: Path) -> None:
    found = judged(case, case / "mr.nii.gz", 4)
    assert found["weights"]["psnr"] == float("inf")
    assert found["weights"]["contrast_recovery"] == pytest.approx(1)
    assert found["compressed sensing"]["psnr"] > found["zero-filled"]["psnr"] + 1


def test_only_the_slices_with_most_lesion_count(case: Path, tmp_path: Path) -> None:
    """Of an image that is wrong elsewhere nothing is seen, of one that is wrong in a judged slice something."""
    image = nib.load(case / "mr.nii.gz")
    for number, perfect in ((3, True), (8, False)):
        values = np.array(image.dataobj)
        values[:, :, number] = 0
        nib.save(nib.Nifti1Image(values, image.affine), tmp_path / "made.nii.gz")
        assert (judged(case, tmp_path / "made.nii.gz", 4)["weights"]["psnr"] == float("inf")) is perfect


def test_without_scans_or_weights_nothing_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert f"skipped, since there is no {tmp_path / 'open_ms'}" in capsys.readouterr().out
    (tmp_path / "open_ms").mkdir()
    assert main(["--data", str(tmp_path), "--weights", str(tmp_path / "none.pt")]) == 0
    assert f"skipped, since there is no {tmp_path / 'none.pt'}" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
