"""Images of a folder: cases, classes, stacks of samples, and what is none."""

import json

import numpy as np
import pytest
from PIL import Image
from reading_folders import head, patch, save, write_heads, write_patches

from common.errors import DataError
from common.reader_study.image_folders import case_of, classes_of, find_images


@pytest.mark.parametrize(
    ("stem", "case"),
    [("case_7_synthetic_ct", "case_7"), ("case_7_synthetic", "case_7"), ("case_7", "case_7"),
     ("my_synthetics", "my_synthetics"), ("a_synthetic_ct_b_synthetic_t2", "a_synthetic_ct_b"),
     ("_synthetic_ct", "_synthetic_ct")],
)  # fmt: skip
def test_case_is_the_name_without_the_synthetic_suffix(stem, case):
    assert case_of(stem) == case


def test_synthetic_files_have_the_names_of_their_cases(tmp_path):
    real, synthetic = write_heads(tmp_path, 3)
    (synthetic / "case_0_synthetic_ct.json").write_text('{"SyntheticData": true}')
    (synthetic / "manifest.json").write_text("[]")
    for folder, kind in ((real, "real"), (synthetic, "synthetic")):
        found = find_images(folder, kind)
        assert [(each.kind, each.case, each.label) for each in found] == [(kind, f"case_{k}", "") for k in range(3)]


def test_volumes_in_folders_of_cases_are_found_by_their_name(tmp_path):
    for case in ("a", "b"):
        for name in ("ct", "mask"):
            save(tmp_path / case / f"{name}.nii.gz", head(0))
    assert [(each.case, each.path.name) for each in find_images(tmp_path, "real", "ct")] == [
        ("a", "ct.nii.gz"), ("b", "ct.nii.gz")
    ]  # fmt: skip
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match=r"has no volume ct, or several, in c"):
        find_images(tmp_path, "real", "ct")


def test_patches_have_the_class_of_their_folder_or_stack(tmp_path):
    real, synthetic = write_patches(tmp_path, 2, 3, ("cyst", "metastasis"))
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(synthetic / "cyst_synthetic.png")  # the grid of the stack
    assert [(each.label, each.case) for each in find_images(real, "real")] == [
        ("cyst", "liver_0_cyst_1"), ("cyst", "liver_1_cyst_1"),
        ("metastasis", "liver_0_metastasis_1"), ("metastasis", "liver_1_metastasis_1"),
    ]  # fmt: skip
    found = find_images(synthetic, "synthetic")
    assert [(each.label, each.place) for each in found] == [(c, k) for c in ("cyst", "metastasis") for k in range(3)]
    assert classes_of(found) == ["cyst", "metastasis"]


def test_a_grid_of_samples_is_not_an_image(tmp_path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "cyst_synthetic.png")
    with pytest.raises(DataError, match=r"cyst_synthetic.png is the image grid of samples: .*--format nifti"):
        find_images(tmp_path, "synthetic")


def test_what_holds_no_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*nowhere \(from --real\)"):
        find_images(tmp_path / "nowhere", "real")
    with pytest.raises(DataError, match="is an empty folder: arrange it as"):
        find_images(tmp_path, "real")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="holds no images, only notes.txt"):
        find_images(tmp_path, "real")
    (tmp_path / "broken.json").write_text("{")
    save(tmp_path / "broken.nii.gz", head(0))
    with pytest.raises(DataError, match=r"cannot read .*broken.json"):
        find_images(tmp_path, "real")


def test_a_case_occurs_once(tmp_path):
    save(tmp_path / "case_1.nii.gz", head(0))
    save(tmp_path / "case_1_synthetic_ct.nii", head(0))
    with pytest.raises(DataError, match="holds case_1 twice"):
        find_images(tmp_path, "synthetic")


def test_a_json_file_of_something_else_makes_no_stack(tmp_path):
    save(tmp_path / "case_1.nii.gz", patch(0)[:, :, None])
    (tmp_path / "case_1.json").write_text(json.dumps({"Unit": "HU"}))
    (one,) = find_images(tmp_path, "real")
    assert (one.case, one.place) == ("case_1", None)
