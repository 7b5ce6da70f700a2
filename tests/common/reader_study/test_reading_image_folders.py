"""Images of a folder: cases, classes, stacks of samples, and what is none."""

import pytest
from reading_folders import CLASSES, head, save, write_patches

from common.errors import DataError
from common.reader_study.image_folders import find_images


@pytest.mark.parametrize(
    ("stem", "case"),
    [("case_7_synthetic_ct", "case_7"), ("case_7_synthetic", "case_7"), ("my_synthetics", "my_synthetics"),
     ("a_synthetic_ct_b_synthetic_t2", "a_synthetic_ct_b"), ("_synthetic_ct", "_synthetic_ct")],
)  # fmt: skip
def test_case_is_the_name_without_the_synthetic_suffix(tmp_path, stem, case):
    save(tmp_path / f"{stem}.nii.gz", head(0))
    (tmp_path / f"{stem}.json").write_text('{"SyntheticData": true}')  # of no samples
    (found,) = find_images(tmp_path, "synthetic")
    assert (found.kind, found.case, found.label, found.patches) == ("synthetic", case, "", False)
    save(tmp_path / f"{stem}.nii", head(0))
    with pytest.raises(DataError, match=f"holds {case} twice"):
        find_images(tmp_path, "synthetic")


def test_volumes_in_folders_of_cases_are_found_by_their_name(tmp_path):
    for name in ("a/ct", "a/mask", "b/ct"):
        save(tmp_path / f"{name}.nii.gz", head(0))
    found = [(each.case, each.path.name, each.patches) for each in find_images(tmp_path, "real", "ct")]
    assert found == [("a", "ct.nii.gz", False), ("b", "ct.nii.gz", False)]
    with pytest.raises(DataError, match=r"has no volume mask, or several, in b"):
        find_images(tmp_path, "real", "mask")


def test_patches_have_the_class_of_their_folder_or_stack(tmp_path):
    for folder, cases in zip(write_patches(tmp_path, 2, 3), (("liver_0", "liver_1"), ()), strict=True):
        found = [(each.label, each.case, each.patches) for each in find_images(folder, "real")]
        assert found == [(name, case, True) for name in CLASSES for case in cases or [name]]


def test_a_folder_with_the_grid_of_samples_alone_is_refused(tmp_path):
    (tmp_path / "cyst_synthetic.png").touch()
    with pytest.raises(DataError, match=r"holds cyst_synthetic.png, no images: arrange it as .* --format nifti"):
        find_images(tmp_path, "real")
