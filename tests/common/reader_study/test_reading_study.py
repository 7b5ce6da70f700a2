"""Pages and key: blinded, balanced, in an order that the seed decides."""

import json

import numpy as np
import pytest
from reading_folders import picture

from common.errors import ConfigError
from common.reader_study.questions import Question, Trial
from common.reader_study.slices import StudySlice
from common.reader_study.study import Study, pages_and_key


def slide(kind, k):
    return StudySlice(kind, f"patient_{k}", "", k, np.full((3, 4), 10.0 * k + (kind == "synthetic")), 1.0)


def study(count=12, design="two-alternative", **settings):
    pairs = [(slide("real", k), slide("synthetic", k)) for k in range(count)]
    trials = [Trial(pair) for pair in pairs]
    if design == "single":
        trials = [Trial((one,), one.kind) for pair in pairs for one in pair]
    settings = {"seed": 1, **settings}
    return Study(Question(design, "real", ()), trials, (0.0, 255.0), **settings)


def test_a_page_has_no_names_kinds_or_answers():
    (page,), key = pages_and_key(study())
    assert page.keys() == {"study", "question", "choices", "confidence", "page", "trials"}
    assert all(trial.keys() == {"trial", "aspect", "images"} for trial in page["trials"])
    texts = json.dumps([{**trial, "images": []} for trial in page["trials"]])
    assert not any(word in texts for word in ("patient", "real", "synthetic", "left", "right", "seed"))
    assert key["pages"][0][0]["images"][0]["case"].startswith("patient_")


def test_the_key_is_about_the_images_of_the_page():
    for design in ("two-alternative", "single"):
        (page,), key = pages_and_key(study(design=design, repeats=3))
        assert [shown["trial"] for shown in page["trials"]] == [kept["trial"] for kept in key["pages"][0]]
        for shown, kept in zip(page["trials"], key["pages"][0], strict=True):
            levels = [picture(image)[1] for image in shown["images"]]
            assert all((one == one[0, 0]).all() for one in levels)
            assert [int(one[0, 0]) for one in levels] == [
                10 * image["slice"] + (image["kind"] == "synthetic") for image in kept["images"]
            ]
            kinds = [image["kind"] for image in kept["images"]]
            assert kept["answer"] == (("left", "right")[kinds.index("real")] if len(kinds) == 2 else kinds[0])


def test_the_real_image_is_on_either_side_half_of_the_time():
    for count in (12, 13):
        for seed in range(5):
            _, key = pages_and_key(study(count, seed=seed))
            left = sum(trial["answer"] == "left" for trial in key["pages"][0])
            assert left in (count // 2, count - count // 2)


def test_the_seed_decides_the_order():
    first, again, other = (pages_and_key(study(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    orders = [[trial["item"] for trial in key["pages"][0]] for _, key in (first, other)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))
    assert first[1]["study"] != other[1]["study"]


def test_pages_show_the_same_trials_in_another_order():
    pages, key = pages_and_key(study(pages=3))
    orders = [[trial["item"] for trial in page] for page in key["pages"]]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert [page["page"] for page in pages] == [1, 2, 3]
    first = {trial["item"]: trial["answer"] for trial in key["pages"][0]}
    turned = {trial["item"] for trial in key["pages"][1] if trial["answer"] != first[trial["item"]]}
    assert turned
    assert turned == {trial["item"] for trial in key["pages"][1] if trial["mirrored"]}


def test_repeats_come_again_in_the_second_half():
    for seed in range(10):
        (page,), key = pages_and_key(study(30, repeats=10, seed=seed))
        trials = key["pages"][0]
        assert len(trials) == len(page["trials"]) == len({trial["trial"] for trial in trials}) == 40
        for place, trial in enumerate(trials):
            if trial["repeat"]:
                first = next(k for k, one in enumerate(trials) if one["item"] == trial["item"])
                assert first < 10
                assert place > 15
    with pytest.raises(ConfigError, match="--repeats is 11, 10 are allowed, a third of the 30 trials"):
        study(30, repeats=11)


def test_confidence_is_asked_for_where_it_is_wanted():
    assert pages_and_key(study())[1]["confidence"] == []
    assert pages_and_key(study(confidence=True))[0][0]["confidence"] == [1, 2, 3, 4, 5]
