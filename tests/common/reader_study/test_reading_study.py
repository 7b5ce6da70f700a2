"""Pages and keys: blinded, balanced, in an order that the seed decides; what is refused before anything is written."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from io import BytesIO

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from reading_folders import CLASSES, head, save, write_heads, write_patches

from common.errors import DataError, UserError
from common.io.reader import VolumeReader
from common.reader_study.image_folders import find_images
from common.reader_study.slices import paired_slices
from common.reader_study.study import Study, make_study


def made(folders, **choices):
    images = (find_images(folder, kind) for folder, kind in zip(folders, ("real", "synthetic"), strict=True))
    return make_study(*images, Study(**choices), VolumeReader())


@pytest.mark.parametrize("axes", ["RAS", "LPS"])
def test_both_images_of_a_case_show_the_same_slices_of_the_head(tmp_path, axes):
    image = nib.Nifti1Image(head(1), np.diag([2.0, 3, 5, 1])).as_reoriented(nib.orientations.axcodes2ornt(axes))
    for kind, step in (("real", 0), ("synthetic", 5)):
        save(tmp_path / kind / "a.nii.gz", image.get_fdata() + step, image.affine)
    files = [find_images(tmp_path / kind, kind)[0] for kind in ("real", "synthetic")]
    pairs = paired_slices(*files, 8, np.random.default_rng(0), VolumeReader())
    assert [real.place for real, _ in pairs] == list(range(2, 10))
    for real, synthetic in pairs:
        assert np.array_equal(real.pixels, head(1)[::-1, ::-1, real.place].T)  # right on the left, anterior on top
        assert np.array_equal(real.pixels + 5, synthetic.pixels)
        assert real.aspect == pytest.approx(14 * 2 / (16 * 3), abs=1e-4)


@pytest.mark.parametrize("design", ["two-alternative", "single"])
def test_the_key_is_about_the_images_of_the_page(tmp_path, design):
    page, key = made(write_heads(tmp_path, 9), design=design, repeats=3, seed=11, window=(0, 200))
    assert (key["study"], page["study"][:6]) == (page["study"], "study-")  # no number to a spreadsheet
    assert (page.keys(), page["trials"][0].keys()) == ({"study", "question", "choices", "trials"}, {"aspect", "images"})
    for trial, kept in zip(page["trials"], key["trials"], strict=True):
        kinds = [image.split()[0] for image in kept["images"]]
        assert kept["answer"] == (("left", "right")[kinds.index("real")] if len(kinds) == 2 else kinds[0])
        for picture, (kind, case, place) in zip(trial["images"], map(str.split, kept["images"]), strict=True):
            levels = head(int(case[-1]))[::-1, ::-1, int(place)].T + 5 * (kind == "synthetic")
            png = b64decode(picture.removeprefix("data:image/png;base64,"))
            assert np.array_equal(np.asarray(Image.open(BytesIO(png))), np.rint(levels / 200 * 255))
    count = len(key["trials"]) - 3
    answers = Counter(trial["answer"] for trial in key["trials"] if not trial["repeat"])
    assert sorted(answers.values()) == ([4, 5] if design == "two-alternative" else [9, 9])
    for place, trial in enumerate(key["trials"]):
        first = next(k for k, one in enumerate(key["trials"]) if one["item"] == trial["item"])
        assert (first < count // 3 < count // 2 < place) if trial["repeat"] else first == place
        assert (trial["answer"] == key["trials"][first]["answer"]) == (not trial["repeat"] or design == "single")


def test_the_seed_decides_all_and_the_real_images_the_window(tmp_path):
    real, synthetic = write_heads(tmp_path)
    first, again, other = (made((real, synthetic), seed=seed) for seed in (1, 1, 2))
    assert first[0] == again[0] != other[0]
    for k in range(6):
        save(synthetic / f"case_{k}_synthetic_ct.nii.gz", 10 * head(k))
    assert made((real, synthetic))[1]["window"] == (0.0, pytest.approx(139, abs=1.5))


def test_classes_and_kinds_are_in_equal_number(tmp_path):
    folders = write_patches(tmp_path)
    (folders[0] / "cyst" / "liver_0.nii.gz").unlink()
    for trials, each in ((None, 3), (12, 2)):
        _, key = made(folders, design="single", question="class", trials=trials)
        counts = Counter((trial["answer"], trial["kind"]) for trial in key["trials"])
        assert counts == {(name, kind): each for name in CLASSES for kind in ("real", "synthetic")}
    for trial in made(folders)[1]["trials"]:
        (_, real, _), (_, synthetic, _) = map(str.split, trial["images"])
        assert real.split("/")[0] == synthetic.split("/")[0]  # one class


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"slices": 0}, "--slices is below 1"), ({"window": (3.0, 3.0)}, "the window is 3 to 3: pass a --window"),
     ({"question": "class"}, "pass --design single"), ({"question": "class", "design": "single"}, "needs two classes"),
     ({"trials": 5, "design": "single"}, "--trials is 5: pass a multiple of 2, at most 12"),
     ({"slices": 9}, "case_0 .* has 8 axial slices with enough of the head, --slices is 9"),
     ({"repeats": 3}, "--repeats is 3, 2 are allowed, a third of the 6 trials")],
)  # fmt: skip
def test_choices_that_the_images_do_not_allow_are_refused(tmp_path, choices, message):
    with pytest.raises(UserError, match=message):
        made(write_heads(tmp_path), **choices)


def test_images_that_tell_themselves_apart_are_refused(tmp_path):
    real, synthetic = write_heads(tmp_path, 3)
    for values, message in ((head(1), "have equal slices of case_1"), (head(1)[1:], "case_1: synthetic image has")):
        save(synthetic / "case_1_synthetic_ct.nii.gz", values)
        with pytest.raises(DataError, match=message):
            made((real, synthetic))
    (real / "case_1.nii.gz").unlink()
    with pytest.raises(DataError, match=r"--real \(2 images\) and --synthetic \(3\) hold .*, only one has case_1"):
        made((real, synthetic))
    with pytest.raises(DataError, match=r"several sizes \(8 x 8 of aspect 1, 9 x 9 of aspect 1\)"):
        made(write_patches(tmp_path / "patches", size=9))
    with pytest.raises(DataError, match="is a volume, no patch: name the volumes of cases by --real_name"):
        made((tmp_path, tmp_path))


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
