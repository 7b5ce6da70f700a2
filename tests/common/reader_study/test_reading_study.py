"""Pages and key: blinded, balanced, in an order that the seed decides; what is refused before anything is written."""

import json
from base64 import b64decode
from collections import Counter
from io import BytesIO

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from reading_folders import CLASSES, head, save, write_heads, write_patches

from common.errors import ConfigError, DataError
from common.io.reader import VolumeReader
from common.reader_study.image_folders import find_images
from common.reader_study.slices import paired_slices, patches_of, png_of
from common.reader_study.study import Study, make_study

READER = VolumeReader()


def made(folders, **choices):
    """Page and key of a study."""
    images = (find_images(folder, kind) for folder, kind in zip(folders, ("real", "synthetic"), strict=True))
    return make_study(*images, Study(**choices), READER)


def levels(address):
    """Bytes and grey levels of an image of the page."""
    png = b64decode(address.removeprefix("data:image/png;base64,"))
    return len(png), np.asarray(Image.open(BytesIO(png)))


def test_both_images_of_a_case_show_the_same_slices_from_below_in_any_orientation(tmp_path):
    image = nib.Nifti1Image(head(1).astype(np.float32), np.diag([2.0, 3, 5, 1]))
    lps = image.as_reoriented(nib.orientations.axcodes2ornt(("L", "P", "S")))
    shown = []
    for name, stored in (("ras", image), ("lps", lps)):
        for kind, step in (("real", 0), ("synthetic", 5)):
            save(tmp_path / name / kind / "a.nii.gz", np.asarray(stored.dataobj) + step, stored.affine)
        files = [find_images(tmp_path / name / kind, kind)[0] for kind in ("real", "synthetic")]
        shown.append(paired_slices(*files, 8, np.random.default_rng(0), READER))
    for pairs in shown:
        assert [real.place for real, _ in pairs] == list(range(2, 10))  # where the head is
        for real, synthetic in pairs:
            assert np.array_equal(real.pixels, head(1)[::-1, ::-1, real.place].T)  # right on the left, anterior on top
            assert np.array_equal(real.pixels + 5, synthetic.pixels)
            assert real.aspect == pytest.approx(14 * 2 / (16 * 3), abs=1e-4)
    with pytest.raises(DataError, match="has 8 axial slices with enough of the head, --slices is 9"):
        paired_slices(*files, 9, np.random.default_rng(0), READER)


def test_patches_of_files_and_stacks_are_shown_as_they_are_stored(tmp_path):
    ramp = np.add.outer(np.arange(8), 10 * np.arange(8)).astype(float)
    real, synthetic = (find_images(folder, "x")[0] for folder in write_patches(tmp_path, 1, 2, ("cyst",)))
    save(real.path, ramp[:, :, None], np.diag([-1.0, -1, 1, 1]))
    save(synthetic.path, np.stack([ramp - 1, ramp], axis=2))
    (one,), stack = patches_of(real, READER), patches_of(synthetic, READER)
    assert [(each.case, each.place) for each in (one, *stack)] == [
        ("cyst/liver_0/0", 0), ("cyst/cyst/0", 0), ("cyst/cyst/1", 1)
    ]  # fmt: skip
    assert np.array_equal(one.pixels, ramp[::-1, ::-1].T)
    assert np.array_equal(one.pixels, stack[1].pixels)


def test_png_has_the_levels_of_the_window_and_a_size_that_tells_nothing():
    png = png_of(np.array([[-5.0, 0, 50], [100, 105, 20]]), (0, 100))
    assert np.asarray(Image.open(BytesIO(png))).tolist() == [[0, 0, 128], [255, 255, 51]]
    assert [png[k : k + 4] for k in (12, 37, len(png) - 8)] == [b"IHDR", b"IDAT", b"IEND"]
    noisy = np.random.default_rng(0).normal(50, 20, (60, 70))
    assert len(png_of(noisy, (0, 100))) == len(png_of(np.full((60, 70), 50.0), (0, 100)))


@pytest.mark.parametrize("design", ["two-alternative", "single"])
def test_the_key_is_about_the_images_of_the_page_which_reveals_nothing(tmp_path, design):
    page, key = made(write_heads(tmp_path, 9), design=design, repeats=3, seed=11, window=(0, 200))
    assert page.keys() == {"study", "question", "choices", "trials"}
    assert all(trial.keys() == {"aspect", "images"} for trial in page["trials"])
    sizes = set()
    for shown, kept in zip(page["trials"], key["trials"], strict=True):
        kinds = [image.split()[0] for image in kept["images"]]
        assert kept["answer"] == (("left", "right")[kinds.index("real")] if len(kinds) == 2 else kinds[0])
        for picture, name in zip(shown["images"], kept["images"], strict=True):
            kind, case, place = name.split()
            wanted = head(int(case[-1]))[::-1, ::-1, int(place)].T + 5 * (kind == "synthetic")
            size, grey = levels(picture)
            assert np.array_equal(grey, np.rint(wanted / 200 * 255))
            sizes.add(size)
    assert len(sizes) == 1
    once = [trial for trial in key["trials"] if not trial["repeat"]]
    assert abs(np.diff(sorted(Counter(trial["answer"] for trial in once).values()))) <= 1  # of 9 pairs, 4 or 5 are left
    assert Counter(trial["kind"] for trial in once)["real"] == 9
    count = len(once)
    for place, trial in enumerate(key["trials"]):
        first = next(k for k, one in enumerate(key["trials"]) if one["item"] == trial["item"])
        assert (first < count // 3 and place > count // 2) if trial["repeat"] else first == place
        if trial["repeat"]:
            assert (trial["answer"] != key["trials"][first]["answer"]) == (design == "two-alternative")
    assert sum(trial["repeat"] for trial in key["trials"]) == 3


def test_the_seed_decides_all(tmp_path):
    folders = write_heads(tmp_path)
    first, again, other = (made(folders, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0]["study"] != other[0]["study"]
    assert [trial["item"] for trial in first[1]["trials"]] != [trial["item"] for trial in other[1]["trials"]]


def test_the_window_is_that_of_the_real_slices(tmp_path):
    real, synthetic = write_heads(tmp_path)
    for k in range(6):
        save(synthetic / f"case_{k}_synthetic_ct.nii.gz", 10 * head(k))
    assert made((real, synthetic))[1]["window"] == (0.0, pytest.approx(139, abs=1.5))


def test_classes_and_kinds_are_in_equal_number(tmp_path):
    folders = write_patches(tmp_path, 4, 9)
    single = {"design": "single", "question": "class"}
    for choices, each in ((single, 4), ({**single, "trials": 18}, 3)):
        page, key = made(folders, **choices)
        assert page["choices"] == list(CLASSES)
        counts = Counter((trial["answer"], trial["kind"]) for trial in key["trials"])
        assert counts == {(name, kind): each for name in CLASSES for kind in ("real", "synthetic")}
    _, key = made(folders, trials=6)
    assert Counter(trial["case"].split("/")[0] for trial in key["trials"]) == dict.fromkeys(CLASSES, 2)
    for trial in key["trials"]:
        assert len({image.split()[1].split("/")[0] for image in trial["images"]}) == 1  # both of one class
    save(folders[0] / "cyst" / "more.nii.gz", np.zeros((8, 8, 1)))
    for _ in range(3):
        (folders[0] / "hemangioma" / f"liver_{_}.nii.gz").unlink()
    assert Counter(trial["answer"] for trial in made(folders, **single)[1]["trials"]) == dict.fromkeys(CLASSES, 2)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"slices": 0}, "--slices is below 1"), ({"seed": -1}, "--seed below 0"),
     ({"window": (3.0, 3.0)}, "the window is 3 to 3: pass a --window of two numbers, the lower one first"),
     ({"window": (0.0, float("nan"))}, "the window is 0 to nan"),
     ({"question": "class"}, "about single images: pass --design single"),
     ({"question": "class", "design": "single"}, "--question class needs two classes"),
     ({"trials": 7}, "--trials is 7: pass a multiple of 1, at most 6"),
     ({"trials": 5, "design": "single"}, "--trials is 5: pass a multiple of 2, at most 12"),
     ({"repeats": 3}, "--repeats is 3, 2 are allowed, a third of the 6 trials")],
)  # fmt: skip
def test_choices_that_the_images_do_not_allow_are_refused(tmp_path, choices, message):
    with pytest.raises(ConfigError, match=message):
        made(write_heads(tmp_path), **choices)


def test_images_that_tell_themselves_apart_are_refused(tmp_path):
    real, synthetic = write_heads(tmp_path, 3)
    path = synthetic / "case_1_synthetic_ct.nii.gz"
    for values, affine, message in (
        (head(1), None, "--real and --synthetic have equal slices of case_1"),
        (head(1)[:-1], None, "case_1: synthetic image has shape .*, the real one shape"),
        (head(1), np.diag([2.0, 2, 3, 1]), "case_1: synthetic image has shape .*, the real one shape"),
    ):
        save(path, values, affine)
        with pytest.raises(DataError, match=message):
            made((real, synthetic))
    path.unlink()
    with pytest.raises(DataError, match=r"--real \(3 images\) and --synthetic \(2\) hold .*, only one has case_1"):
        made((real, synthetic))
    patches = write_patches(tmp_path / "patches", size=9)
    with pytest.raises(DataError, match=r"several sizes \(8 x 8 of aspect 1, 9 x 9 of aspect 1\)"):
        made(patches)
    with pytest.raises(DataError, match="is a volume, other images are patches"):
        made((real, patches[1]))
    (patches[1] / "cyst_synthetic.nii.gz").unlink()
    with pytest.raises(DataError, match="--real has the classes cyst, hemangioma, metastasis, --synthetic hem"):
        made((write_patches(tmp_path / "equal")[0], _without(tmp_path / "equal", "cyst")))


def _without(root, name):
    (root / "synthetic" / f"{name}_synthetic.nii.gz").unlink()
    return root / "synthetic"


def test_the_page_data_survive_json(tmp_path):
    page, key = made(write_heads(tmp_path))
    assert json.loads(json.dumps(key))["trials"] == key["trials"]
    assert "case_" not in json.dumps({**page, "trials": []})
