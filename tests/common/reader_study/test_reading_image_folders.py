"""Images of a folder: cases, classes, stacks of samples, and what is none."""

import pytest
from reading_folders import head, save, write_heads, write_patches

from common.errors import DataError
from common.reader_study.image_folders import find_images


@pytest.mark.parametrize(
    ("stem", "case"),
    [("case_7_synthetic_ct", "case_7"), ("case_7_synthetic", "case_7"), ("case_7", "case_7"),
     ("my_synthetics", "my_synthetics"), ("a_synthetic_ct_b_synthetic_t2", "a_synthetic_ct_b"),
     ("_synthetic_ct", "_synthetic_ct")],
)  # fmt: skip
def test_case_is_the_name_without_the_synthetic_suffix(tmp_path, stem, case):
    save(tmp_path / f"{stem}.nii.gz", head(0))
    (tmp_path / f"{stem}.json").write_text('{"SyntheticData": true}')  # of no samples
    (found,) = find_images(tmp_path, "synthetic")
    assert (found.kind, found.case, found.label, found.patches) == ("synthetic", case, "", False)


def test_volumes_in_folders_of_cases_are_found_by_their_name(tmp_path):
    for case in ("a", "b"):
        for name in ("ct", "mask"):
            save(tmp_path / case / f"{name}.nii.gz", head(0))
    found = [(each.case, each.path.name, each.patches) for each in find_images(tmp_path, "real", "ct")]
    assert found == [("a", "ct.nii.gz", False), ("b", "ct.nii.gz", False)]
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match=r"has no volume ct, or several, in c"):
        find_images(tmp_path, "real", "ct")


def test_patches_have_the_class_of_their_folder_or_stack(tmp_path):
    real, synthetic = write_patches(tmp_path, 2, 3, ("cyst", "metastasis"))
    (synthetic / "cyst_synthetic.png").touch()  # the grid of the stack
    classes = ("cyst", "metastasis")
    found = [(each.label, each.case, each.patches) for each in find_images(real, "real")]
    assert found == [(name, f"liver_{k}", True) for name in classes for k in range(2)]
    found = [(each.label, each.case, each.patches) for each in find_images(synthetic, "synthetic")]
    assert found == [(name, name, True) for name in classes]


def test_what_holds_no_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*nowhere \(from --real\)"):
        find_images(tmp_path / "nowhere", "real")
    (tmp_path / "cyst_synthetic.png").touch()
    with pytest.raises(DataError, match=r"holds cyst_synthetic.png, no images: arrange it as .* --format nifti"):
        find_images(tmp_path, "real")
    (tmp_path / "broken.json").write_text("{")
    save(tmp_path / "broken.nii.gz", head(0))
    with pytest.raises(DataError, match=r"cannot read .*broken.json"):
        find_images(tmp_path, "real")


def test_a_case_occurs_once(tmp_path):
    _, folder = write_heads(tmp_path, 2)
    save(folder / "case_1.nii", head(0))
    with pytest.raises(DataError, match="holds case_1 twice"):
        find_images(folder, "synthetic")
