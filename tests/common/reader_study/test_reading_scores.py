"""Scores of simulated readers: guessers, good ones, learners, those who answer always the same."""

import numpy as np
import pytest
from reading_folders import answers_csv, plain_key, right, wrong

from common.reader_study.answers import read_answers
from common.reader_study.scores import scores_of

LEFT_RIGHT = ("left", "right")


@pytest.fixture
def scored(tmp_path):
    """Scores of readers, each given by the function that chooses the answers."""

    def score(key, **readers):
        paths = [answers_csv(tmp_path / f"{name}.csv", key, choose, name) for name, choose in readers.items()]
        return scores_of(key, read_answers(paths, key))

    return score


def correct_at(chance, seed, choices=LEFT_RIGHT):
    """Reader who is right with a probability, a number or a function of the position."""
    rng, other = np.random.default_rng(seed), wrong(choices)

    def choose(trial, k):
        return right(trial, k) if rng.random() < (chance(k) if callable(chance) else chance) else other(trial, k)

    return choose


def single_key(count, choices=("real", "synthetic")):
    """Key of a study of single images; with classes as choices half of each class are real."""
    trials = []
    for k in range(count):
        kind = ("real", "synthetic")[k % 2]
        answer = kind if choices == ("real", "synthetic") else choices[k // 2 % len(choices)]
        image = {"kind": kind, "class": "" if answer == kind else answer, "case": f"case_{k}", "slice": 0}
        trials.append(
            {"trial": f"t{k}", "item": k, "answer": answer, "mirrored": False, "repeat": False, "images": [image]}
        )
    about = {"real": "real", "yes": "cyst"}.get(choices[0], "class")
    return {"study": "abc", "question": "?", "choices": list(choices), "confidence": [], "design": "single",
            "about": about, "pages": [trials]}  # fmt: skip


def test_the_interval_of_a_guesser_holds_a_half(scored):
    key, held, found = plain_key(60), 0, 0
    for seed in range(40):
        measures = scored(key, A=correct_at(0.5, seed)).readers["A"]
        held += measures["accuracy"].low <= 0.5 <= measures["accuracy"].high
        found += measures["p_chance"].value < 0.05
    assert held >= 35
    assert found <= 5


def test_a_reader_right_in_four_of_five_differs_from_chance(scored):
    key = plain_key(100)
    measures = scored(key, A=lambda trial, k: right(trial, k) if k % 5 else wrong(LEFT_RIGHT)(trial, k)).readers["A"]
    accuracy = measures["accuracy"]
    assert (accuracy.value, accuracy.n) == (0.8, 100)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.711, 0.867), abs=5e-4)  # Wilson
    assert measures["p_chance"].value < 1e-8
    assert measures["learning"].value == 0
    assert measures["p_trend"].value > 0.5


def test_learning_is_found(scored):
    key = plain_key(120)
    measures = scored(key, A=correct_at(lambda k: 0.4 + 0.5 * k / 120, 3)).readers["A"]
    assert measures["learning"].value == pytest.approx(measures["second_half"].value - measures["first_half"].value)
    assert 0 < measures["learning"].low < measures["learning"].value < measures["learning"].high
    assert measures["z_trend"].value > 2
    assert measures["p_trend"].value < 0.01


def test_learning_is_not_found_in_readers_who_do_not_learn(scored):
    found = [scored(plain_key(60), A=correct_at(0.7, seed)).readers["A"] for seed in range(40)]
    assert sum(one["learning"].low > 0 or one["learning"].high < 0 for one in found) <= 5


def test_a_reader_who_answers_always_the_same(scored):
    scores = scored(single_key(40), A=lambda trial, k: "synthetic")
    measures = scores.readers["A"]
    assert [measures[name].value for name in ("accuracy", "sensitivity", "specificity")] == [0.5, 1.0, 0.0]
    assert measures["specificity"].n == 20
    assert measures["p_chance"].value == 1
    assert scores.confusion["A"]["all"] == {
        "real": {"real": 0, "synthetic": 20}, "synthetic": {"real": 0, "synthetic": 20}
    }  # fmt: skip


def test_sensitivity_is_about_synthetic_images(scored):
    def choose(trial, k):
        return "synthetic" if trial["answer"] == "synthetic" and k % 4 == 1 else "real"

    measures = scored(single_key(40), A=choose).readers["A"]
    assert (measures["sensitivity"].value, measures["specificity"].value) == (0.5, 1.0)


def test_classes_are_confused_by_kind(scored):
    classes = ("cyst", "hemangioma", "metastasis")

    def choose(trial, k):
        real = trial["images"][0]["kind"] == "real"
        return trial["answer"] if real or trial["answer"] != "cyst" else "metastasis"

    scores = scored(single_key(36, classes), A=choose)
    measures = scores.readers["A"]
    assert scores.chance == pytest.approx(1 / 3)
    assert measures["real"].value == 1
    assert measures["synthetic"].value == pytest.approx(2 / 3)
    assert measures["synthetic_minus_real"].value == pytest.approx(-1 / 3)
    assert measures["synthetic_minus_real"].high < 0
    assert scores.confusion["A"]["synthetic"]["cyst"] == {"cyst": 0, "hemangioma": 0, "metastasis": 6}
    assert scores.confusion["A"]["real"]["cyst"] == {"cyst": 6, "hemangioma": 0, "metastasis": 0}


def test_yes_and_no_have_sensitivity_for_the_class(scored):
    measures = scored(single_key(40, ("yes", "no")), A=lambda trial, k: "yes").readers["A"]
    assert (measures["sensitivity"].value, measures["specificity"].value) == (1, 0)
    assert measures["real"].value == 0.5


def test_repeats_count_for_agreement_alone(scored):
    key = plain_key(30, repeats=(0, 1, 2, 3))

    def choose(trial, k):
        return wrong(LEFT_RIGHT)(trial, k) if trial["repeat"] and trial["item"] < 1 else right(trial, k)

    measures = scored(key, A=choose).readers["A"]
    assert (measures["accuracy"].value, measures["accuracy"].n) == (1, 30)
    assert (measures["repeats_same"].value, measures["repeats_same"].n) == (0.75, 4)
    # first answers l r l r, then r r l r: 3/4 alike, 1/2 * 1/4 + 1/2 * 3/4 by chance
    assert measures["repeats_kappa"].value == pytest.approx(0.5)
    assert measures["p_trend"].value is None


def test_repeats_that_changed_sides_are_alike(scored):
    key = plain_key(9, repeats=(0,))
    key["pages"][0][9] |= {"answer": "right", "mirrored": True, "images": key["pages"][0][9]["images"][::-1]}
    assert scored(key, A=right).readers["A"]["repeats_same"].value == 1
    assert scored(key, A=lambda trial, k: "left").readers["A"]["repeats_same"].value == 0


def test_readers_who_answer_alike_are_pooled_as_one(scored):
    one = correct_at(0.7, 0)
    answers = {}

    def alike(trial, k):
        return answers.setdefault(trial["trial"], one(trial, k))

    scores = scored(plain_key(80), A=alike, B=alike, C=alike)
    alone, pooled = scores.readers["A"]["accuracy"], scores.readers["pooled"]["accuracy"]
    assert pooled.value == pytest.approx(alone.value)
    assert pooled.high - pooled.low > 0.9 * (alone.high - alone.low)
    assert scores.agreement["fleiss"].value == pytest.approx(1)
    assert scores.agreement["cohen: A, B"].value == pytest.approx(1)
    assert scores.notes == ["With 3 readers the pooled interval says little about other readers."]


def test_agreement_of_opposite_readers(scored):
    scores = scored(plain_key(20), A=right, B=wrong(LEFT_RIGHT))
    assert scores.agreement["same: A, B"].value == 0
    assert scores.agreement["cohen: A, B"].value == pytest.approx(-1)
    assert scores.readers["pooled"]["accuracy"].value == 0.5


def test_the_pooled_learning_is_the_mean_change(scored):
    def learner(trial, k):
        return right(trial, k) if k >= 20 or k % 2 else wrong(LEFT_RIGHT)(trial, k)

    scores = scored(plain_key(40), A=learner, B=learner)
    pooled = scores.readers["pooled"]
    assert (pooled["first_half"].value, pooled["second_half"].value, pooled["learning"].value) == (0.5, 1, 0.5)
    assert 0.2 < pooled["learning"].low < 0.5 < pooled["learning"].high < 0.8


def test_slices_of_one_case_are_not_independent(scored):
    key = plain_key(80, cases=8)  # ten slices of each of eight cases

    def choose(trial, k):
        return right(trial, k) if trial["item"] % 8 < 6 else wrong(LEFT_RIGHT)(trial, k)

    scores = scored(key, A=choose)
    plain, over_cases = scores.readers["A"]["accuracy"], scores.readers["A"]["accuracy_over_cases"]
    assert over_cases.value == plain.value == 0.75
    assert over_cases.high - over_cases.low > 2 * (plain.high - plain.low)
    assert "too narrow" in scores.notes[0]


def test_confidence_and_time(tmp_path):
    key = plain_key(8)
    key["confidence"] = [1, 2, 3, 4, 5]
    path = answers_csv(tmp_path / "a.csv", key, right, seconds=lambda k: k + 1, confidence=4)
    measures = scores_of(key, read_answers([path], key)).readers["A"]
    assert [measures[f"seconds_{name}"].value for name in ("quartile_1", "median", "quartile_3")] == [2.75, 4.5, 6.25]
    assert (measures["confidence_4"].value, measures["confidence_4"].n) == (1, 8)
