"""Studies of folders of images: what is shown, what is written, and what is refused before anything is."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from reading_folders import head, page_data, patch, picture, save, write_heads, write_patches

from common.errors import ConfigError, DataError, OutputError
from common.io.reader import VolumeReader
from common.reader_study.build import Choices, make_study, require_free, write_study


def made(folders, **choices):
    return make_study(*folders, Choices(**choices), VolumeReader())


def test_trials_of_volumes_show_one_slice_of_both_images(tmp_path):
    folders = write_heads(tmp_path)
    study = made(folders, slices=2, seed=4)
    assert Counter(trial.slides[0].case for trial in study.trials) == {f"case_{k}": 2 for k in range(6)}
    for trial in study.trials:
        real, synthetic = trial.slides
        assert (real.kind, real.case, real.place) == ("real", synthetic.case, synthetic.place)
        assert np.array_equal(real.pixels + 5, synthetic.pixels)
        assert real.pixels.max() >= 100


def test_the_window_is_that_of_the_real_slices_for_both(tmp_path):
    real, synthetic = write_heads(tmp_path)
    before = made((real, synthetic)).window
    for path in synthetic.glob("*.nii.gz"):
        save(path, 10 * head(0))
    assert made((real, synthetic)).window == before == (0.0, pytest.approx(139, abs=1.5))
    assert made((real, synthetic), window=(20.0, 80.0)).window == (20.0, 80.0)


def test_the_page_does_not_reveal_the_answers(tmp_path):
    study = made(write_heads(tmp_path), repeats=2, seed=11)
    page, key = write_study(study, tmp_path / "out")
    data, rest = page_data(page)
    text = json.dumps({**data, "trials": [{**trial, "images": []} for trial in data["trials"]]}) + rest
    assert "case_" not in text
    assert str(tmp_path) not in text
    assert "http" not in text.replace("http-equiv", "")
    pngs = [picture(image) for trial in data["trials"] for image in trial["images"]]
    assert len({len(png) for png, _ in pngs}) == 1
    assert {levels.shape for _, levels in pngs} == {(16, 14)}
    assert len({(image, trial["aspect"]) for trial in data["trials"] for image in trial["images"]}) == 12
    kept = json.loads(key.read_text())
    assert kept["study"] in text
    assert kept["seed"] == 11
    assert len(list(page.parent.iterdir())) == 1  # what is sent to readers
    low, high = study.window
    for shown, trial in zip(data["trials"], kept["pages"][0], strict=True):
        slides = study.trials[trial["item"]].slides
        slides = slides if trial["answer"] == "left" else slides[::-1]
        for image, slide in zip(shown["images"], slides, strict=True):
            wanted = np.rint(np.clip((slide.pixels - low) / (high - low), 0, 1) * 255)
            assert np.array_equal(picture(image)[1], wanted)


def test_the_same_seed_writes_the_same_files(tmp_path):
    folders = write_heads(tmp_path)
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paths = write_study(made(folders, seed=seed, pages=2), tmp_path / name)
        assert [path.name for path in paths] == ["page_1.html", "page_2.html", "key.json"]
        texts.append([path.read_text() for path in paths])
    assert texts[0] == texts[1]
    assert all(one != other for one, other in zip(texts[0], texts[2], strict=True))


def test_added_cases_leave_the_slices_of_others(tmp_path):
    folders = write_heads(tmp_path, 3)
    before = {trial.slides[0].case: trial.slides[0].place for trial in made(folders, seed=5).trials}
    write_heads(tmp_path, 5)
    after = {trial.slides[0].case: trial.slides[0].place for trial in made(folders, seed=5).trials}
    assert {case: after[case] for case in before} == before


def test_samples_are_matched_by_class(tmp_path):
    study = made(write_patches(tmp_path), match="class", trials=9)
    for trial in study.trials:
        assert trial.slides[0].label == trial.slides[1].label
    assert Counter(trial.slides[0].label for trial in study.trials) == {"cyst": 3, "hemangioma": 3, "metastasis": 3}
    study = made(write_patches(tmp_path / "more", synthetic=9), design="single", question="class", trials=18)
    assert study.question.choices == ("cyst", "hemangioma", "metastasis")
    assert set(Counter((trial.answer, trial.slides[0].kind) for trial in study.trials).values()) == {3}


def test_other_cases_are_refused(tmp_path):
    real, synthetic = write_heads(tmp_path, 3)
    (synthetic / "case_2_synthetic_ct.nii.gz").unlink()
    message = r"--real \(3 images\) and --synthetic \(2\) hold different cases, only in --real case_2: "
    with pytest.raises(DataError, match=message):
        made((real, synthetic))
    with pytest.raises(DataError, match="unequal numbers of images .*16 x 14 pixels: 3 real, 2 synthetic"):
        made((real, synthetic), design="single")
    assert len(made((real, synthetic), design="single", trials=4).trials) == 4


def test_copies_of_the_real_images_are_refused(tmp_path):
    real, synthetic = write_heads(tmp_path, 3)
    save(synthetic / "case_1_synthetic_ct.nii.gz", head(1))
    with pytest.raises(DataError, match="--real and --synthetic have equal slices of case_1: replace the copies"):
        made((real, synthetic))
    with pytest.raises(ConfigError, match="--synthetic must differ from --real, both are "):
        made((real, real))


def test_samples_have_no_cases(tmp_path):
    with pytest.raises(DataError, match="hold different cases.*pass --match class for samples without a real case"):
        made(write_patches(tmp_path))


def test_more_samples_than_patches_are_refused_unless_drawn(tmp_path):
    folders = write_patches(tmp_path, 2, 5, ("cyst", "metastasis"))
    with pytest.raises(DataError, match="cyst, 8 x 8 pixels: 2 real, 5 synthetic, metastasis, .* by --trials"):
        made(folders, match="class")
    assert len(made(folders, match="class", trials=4).trials) == 4


def test_another_size_of_synthetic_images_is_refused(tmp_path):
    real, synthetic = write_heads(tmp_path, 2)
    for k in range(2):
        save(synthetic / f"case_{k}_synthetic_ct.nii.gz", head(k, (14, 16, 13)))
    with pytest.raises(DataError, match="case_0: synthetic image has shape .*, the real one shape"):
        made((real, synthetic))
    with pytest.raises(DataError, match=r"13 x 14 pixels: 0 real, 2 synthetic"):
        made((real, synthetic), design="single", plane="coronal", trials=2)


def test_pictures_and_volumes_are_not_mixed(tmp_path):
    real, synthetic = tmp_path / "real", tmp_path / "synthetic"
    save(real / "cyst" / "a.nii.gz", patch(0)[:, :, None])
    (synthetic / "cyst").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(synthetic / "cyst" / "a.png")
    with pytest.raises(DataError, match="--real holds volumes, --synthetic pictures: convert"):
        made((real, synthetic), match="class")


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"slices": 0}, "--slices is 0, below 1"), ({"pages": 0}, "--pages"), ({"seed": -1}, "--seed"),
     ({"window": (3.0, 3.0)}, "--window is 3 3: pass two finite numbers, the lower one first"),
     ({"window": (0.0, float("nan"))}, "--window")],
)  # fmt: skip
def test_values_out_of_range_are_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        Choices(**choices)


def test_a_study_is_not_replaced_unasked(tmp_path):
    out = tmp_path / "out"
    require_free(out, False)
    write_study(made(write_heads(tmp_path), pages=2), out)
    with pytest.raises(OutputError, match=r"already holds a study \(key.json, page_1.html, page_2.html\)"):
        require_free(out, False)
    require_free(out, True)
    write_study(made((tmp_path / "real", tmp_path / "synthetic")), out)
    assert [path.name for path in sorted((out / "for_readers").iterdir())] == ["page.html"]
    with pytest.raises(OutputError, match="key.json is a file: pass a folder"):
        require_free(out / "key.json", False)
