"""Questions and trials: equal numbers of what is asked about, whatever is drawn."""

from collections import Counter

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.reader_study.questions import Question, drawn, matched, units_of
from common.reader_study.slices import StudySlice

CLASSES = ("cyst", "hemangioma", "metastasis")


def slides(kind, counts, size=4):
    return [
        StudySlice(kind, f"{kind}{k}", name, 0, np.full((size, size), float(k)), 1.0)
        for name, count in counts.items()
        for k in range(count)
    ]


def both(counts, others=None):
    return slides("real", counts), slides("synthetic", counts if others is None else others)


def rng():
    return np.random.default_rng(0)


def trials_of(design, about, counts, trials=None, classes=CLASSES):
    question = Question(design, about, classes if about != "real" else ())
    pairs = matched(*both(counts), trials is None, rng())
    return drawn(units_of(question, pairs, trials is None, rng()), trials, rng())


def test_every_slice_is_in_one_pair_of_its_class():
    real, synthetic = both({"cyst": 3, "metastasis": 5})
    pairs = matched(real, synthetic, True, rng())
    assert all(a.kind == "real" and b.kind == "synthetic" and a.label == b.label for a, b in pairs)
    assert {id(a) for a, _ in pairs} == {id(slide) for slide in real}
    assert {id(b) for _, b in pairs} == {id(slide) for slide in synthetic}


def test_unequal_numbers_are_refused():
    real, synthetic = both({"cyst": 3, "metastasis": 2}, {"cyst": 5, "metastasis": 2})
    message = r"--real and --synthetic hold unequal numbers of images \(cyst, 4 x 4 pixels: 3 real, 5 synthetic\): "
    with pytest.raises(DataError, match=message + ".* by --trials"):
        matched(real, synthetic, True, rng())
    assert Counter(a.label for a, _ in matched(real, synthetic, False, rng())) == {"cyst": 3, "metastasis": 2}
    with pytest.raises(DataError, match="5 x 5 pixels: 0 real, 2 synthetic"):
        matched(slides("real", {"": 2}), slides("synthetic", {"": 2}, 5), False, rng())


def test_single_images_are_half_real():
    trials = trials_of("single", "real", {"cyst": 4, "metastasis": 4})
    assert Counter((trial.answer, trial.slides[0].kind) for trial in trials) == {
        ("real", "real"): 8, ("synthetic", "synthetic"): 8
    }  # fmt: skip


def test_classes_are_asked_of_equal_numbers_of_both_kinds():
    trials = trials_of("single", "class", dict.fromkeys(CLASSES, 3))
    assert set(Counter((trial.answer, trial.slides[0].kind) for trial in trials).values()) == {3}
    assert all(trial.answer == trial.slides[0].label for trial in trials)
    unequal = {"cyst": 3, "hemangioma": 2, "metastasis": 3}
    with pytest.raises(DataError, match=r"unequal numbers .* \(cyst 3, hemangioma 2, metastasis 3\)"):
        trials_of("single", "class", unequal)
    assert Counter(trial.answer for trial in trials_of("single", "class", unequal, 12)) == dict.fromkeys(CLASSES, 4)


def test_one_class_is_asked_of_as_many_images_of_the_others():
    trials = trials_of("single", "cyst", dict.fromkeys(CLASSES, 4))
    assert Counter((trial.answer, trial.slides[0].kind) for trial in trials) == {
        (answer, kind): 4 for answer in ("yes", "no") for kind in ("real", "synthetic")
    }
    labels = Counter(trial.slides[0].label for trial in trials)
    assert labels == {"cyst": 8, "hemangioma": 4, "metastasis": 4}


def test_two_images_of_a_class_question_are_of_one_kind():
    trials = trials_of("two-alternative", "cyst", dict.fromkeys(CLASSES, 4))
    assert len(trials) == 8
    for trial in trials:
        first, second = trial.slides
        assert (first.label == "cyst", second.label == "cyst", first.kind) == (True, False, second.kind)
    assert Counter(trial.slides[0].kind for trial in trials) == {"real": 4, "synthetic": 4}


def test_what_is_drawn_is_spread_over_classes():
    trials = trials_of("two-alternative", "real", {"cyst": 20, "hemangioma": 3, "metastasis": 5}, 9)
    assert Counter(trial.slides[0].label for trial in trials) == dict.fromkeys(CLASSES, 3)


@pytest.mark.parametrize(
    ("design", "about", "number", "message"),
    [("single", "real", 7, "--trials is 7, not a positive multiple of 2, for equal numbers: give 6"),
     ("single", "class", 10, "not a positive multiple of 6"),
     ("two-alternative", "cyst", 0, "not a positive multiple of 2.*give 2"),
     ("single", "cyst", 6, "not a positive multiple of 4"),
     ("single", "real", 20, "--trials is 20, the images give at most 18")],
)  # fmt: skip
def test_numbers_of_trials_that_cannot_be_are_refused(design, about, number, message):
    with pytest.raises(ConfigError, match=message):
        trials_of(design, about, dict.fromkeys(CLASSES, 3), number)


@pytest.mark.parametrize(
    ("design", "about", "classes", "message"),
    [("single", "class", (), "--question class needs two classes, the images have none"),
     ("single", "cyst", ("cyst",), "needs two classes, the images have cyst"),
     ("single", "abscess", CLASSES, "'abscess' is unknown: choose one of real, class, cyst, hemangioma, metastasis"),
     ("two-alternative", "class", CLASSES, "--question class is about single images"),
     ("single", "class", tuple("abcdefghij"), "has 10 classes, 9 are allowed")],
)  # fmt: skip
def test_questions_that_the_images_cannot_answer_are_refused(design, about, classes, message):
    with pytest.raises(ConfigError, match=message):
        Question(design, about, classes)


def test_classes_of_other_sizes_are_refused():
    pairs = [*matched(*both({"cyst": 2}), True, rng())]
    pairs += matched(slides("real", {"metastasis": 2}, 5), slides("synthetic", {"metastasis": 2}, 5), True, rng())
    with pytest.raises(DataError, match=r"have several sizes \(4 x 4, 5 x 5\)"):
        units_of(Question("single", "class", ("cyst", "metastasis")), pairs, True, rng())
