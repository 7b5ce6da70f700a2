"""Folders of made cases: which are ours, which may be replaced, and what is written into them."""

import json

import nibabel as nib
import numpy as np
import pytest

from common.data.degraded_pairs import PairFolders, save_masks, save_volume
from common.errors import OutputError
from common.io import VolumeReader

PAIRS = PairFolders("made.json", ("low.nii.gz", "full.nii.gz"))


def test_a_folder_is_ours_with_the_record_and_nothing_else(tmp_path):
    PAIRS.write_record(tmp_path, {"dose": 0.5})
    for name in ("low", "mask", "lesion"):
        (tmp_path / f"{name}.nii.gz").touch()
    assert json.loads((tmp_path / "made.json").read_text()) == {"dose": 0.5}
    assert PAIRS.is_own(tmp_path)
    (tmp_path / "made.json").unlink()
    assert not PAIRS.is_own(tmp_path)


def test_cases_are_replaced_on_request_and_foreign_folders_never(tmp_path):
    items, written = [{"case": "new"}, {"case": "old"}], []

    def write_case(item, folder):
        written.append(item["case"])
        PAIRS.write_record(folder, {"written": len(written)})

    (tmp_path / "old").mkdir()
    PAIRS.write_record(tmp_path / "old", {})
    with pytest.raises(OutputError, match="old already exists: pass --overwrite"):
        PAIRS.write(items, tmp_path, write_case, overwrite=False, about="made")
    assert not written
    PAIRS.write(items, tmp_path, write_case, overwrite=True, about="made")
    assert json.loads((tmp_path / "old" / "made.json").read_text()) == {"written": 2}
    (tmp_path / "old" / "notes.txt").touch()
    with pytest.raises(OutputError, match="holds files that this project did not write: move it away"):
        PAIRS.write(items, tmp_path, write_case, overwrite=True, about="made")
    assert written == ["new", "old"]


def test_volumes_and_masks_keep_their_grids_and_nothing_of_other_headers(tmp_path):
    affine = np.diag([-2.0, 3, 4, 1])
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), affine)
    image.header["descrip"] = b"DOE^JANE"
    nib.save(image, tmp_path / "given.nii.gz")
    given = str(tmp_path / "given.nii.gz")
    save_volume(given, affine, np.full((2, 3, 4), 0.5), tmp_path / "low.nii.gz", "SIMULATED")
    save_volume("scan.mha", affine, np.full((2, 3, 4), 0.5), tmp_path / "full.nii.gz", "as given")
    save_masks({"case": "one", "image": given, "lesion": given}, tmp_path, VolumeReader())
    for name, dtype in (("low", np.float32), ("full", np.float32), ("lesion", np.uint8)):
        made = nib.load(tmp_path / f"{name}.nii.gz")
        np.testing.assert_allclose(made.affine, affine)
        assert made.get_data_dtype() == dtype
        assert b"DOE" not in made.header.binaryblock
    assert nib.load(tmp_path / "lesion.nii.gz").get_fdata().sum() == 23
    assert not (tmp_path / "mask.nii.gz").exists()
