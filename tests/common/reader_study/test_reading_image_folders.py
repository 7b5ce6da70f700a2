"""Images of a folder: cases, classes, stacks of samples, and what is none."""

import pytest
from reading_folders import CLASSES, head, save, write_patches

from common.errors import DataError
from common.reader_study.image_folders import find_images


def test_case_is_the_name_without_the_synthetic_suffix(tmp_path):
    for stem in ("a_synthetic_ct_b_synthetic_t2", "my_synthetics"):
        save(tmp_path / f"{stem}.nii.gz", head(0))
        (tmp_path / f"{stem}.json").write_text('{"SyntheticData": true}')  # of no samples
    found = [(each.kind, each.case, each.label, each.patches) for each in find_images(tmp_path, "synthetic")]
    assert found == [("synthetic", case, "", False) for case in ("a_synthetic_ct_b", "my_synthetics")]
    save(tmp_path / "my_synthetics.nii", head(0))
    with pytest.raises(DataError, match="holds my_synthetics twice"):
        find_images(tmp_path, "synthetic")


def test_volumes_in_folders_of_cases_are_found_by_their_name(tmp_path):
    for name in ("a/ct", "a/mask", "b/ct"):
        save(tmp_path / f"{name}.nii.gz", head(0))
    found = [(each.case, each.path.name, each.patches) for each in find_images(tmp_path, "real", "ct")]
    assert found == [("a", "ct.nii.gz", False), ("b", "ct.nii.gz", False)]
    with pytest.raises(DataError, match=r"has no volume mask, or several, in b"):
        find_images(tmp_path, "real", "mask")


def test_patches_have_the_class_of_their_folder_or_stack(tmp_path):
    (tmp_path / "cyst_synthetic.png").touch()
    with pytest.raises(DataError, match=r"holds cyst_synthetic.png, no images: arrange it as .* --format nifti"):
        find_images(tmp_path, "real")
    for folder, cases in zip(write_patches(tmp_path, 2, 3), (("liver_0", "liver_1"), ()), strict=True):
        found = [(each.label, each.case, each.patches) for each in find_images(folder, "real")]
        assert found == [(name, case, True) for name in CLASSES for case in cases or [name]]
