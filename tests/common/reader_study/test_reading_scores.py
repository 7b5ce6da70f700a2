"""Answers that are read or refused, and scores of readers with prescribed answers, computed by hand."""

import json

import numpy as np
import pytest
from reading_folders import CLASSES, answers_csv, right
from scipy.stats import norm

from common.errors import DataError
from common.reader_study.scores import _over_cases, read_answers, read_key, scores_of

OTHER = {"left": "right", "right": "left"}


def wrong(trial, k):
    return OTHER[trial["answer"]]


def pairs_key(count, cases=None, repeats=()):
    """Key of a study of pairs: the real image is left and right in turn, of a repeated pair on the other side."""
    answers = [("left", "right")[k % 2] for k in range(count)]
    trials = [
        {"item": k, "answer": answer, "repeat": again, "kind": "real", "case": f"case_{k % (cases or count)}"}
        for again, part in ((False, enumerate(answers)), (True, ((k, OTHER[answers[k]]) for k in repeats)))
        for k, answer in part
    ]
    choices = ["left", "right"]
    return {"study": "abc", "choices": choices, "design": "two-alternative", "about": "real", "trials": trials}


def single_key(answers, about):
    """Key of a study of single images, real and synthetic in turn."""
    kinds = [("real", "synthetic")[k % 2] for k in range(len(answers))]
    trials = [
        {"item": k, "answer": answer, "repeat": False, "kind": kind, "case": f"case_{k}"}
        for k, (answer, kind) in enumerate(zip(answers, kinds, strict=True))
    ]
    return {"study": "abc", "choices": sorted({*answers}), "design": "single", "about": about, "trials": trials}


def scored(folder, key, **readers):
    """Measures by reader and name, and counts, of readers, each given by the function that chooses the answers."""
    (folder / "key.json").write_text(json.dumps(key))
    key, trials = read_key(folder / "key.json")
    files = [answers_csv(folder / f"{name}.csv", key, choose, name) for name, choose in readers.items()]
    measures, counts = scores_of(key, read_answers(files, key, trials))
    return measures.set_index(["reader", "measure"]), counts


def test_a_reader_right_in_four_of_five(tmp_path):
    found, counts = scored(tmp_path, pairs_key(100), A=lambda trial, k: (right if k % 5 else wrong)(trial, k))
    found, z = found.loc["A"], norm.ppf(0.975)
    centre, half = (80 + z**2 / 2) / (100 + z**2), z * np.sqrt(80 * 20 / 100 + z**2 / 4) / (100 + z**2)
    assert found.loc["accuracy"].tolist() == pytest.approx([0.8, centre - half, centre + half, 100])
    assert found.loc["p_chance", "value"] < 1e-8
    assert found.loc["learning", "value"] == 0
    assert found.loc["learning", "low"] < -0.1 < 0.1 < found.loc["learning", "high"]
    assert found.loc["seconds_median", "value"] == 49.5
    assert counts.to_numpy().tolist() == [[40, 10], [10, 40]]


def test_sensitivity_is_about_synthetic_images(tmp_path):
    key = single_key(["real", "synthetic"] * 20, "real")
    found, counts = scored(tmp_path, key, A=lambda trial, k: trial["answer"] if k % 4 == 1 else "real")
    found = found.loc["A"]
    assert found.loc[["accuracy", "sensitivity", "specificity"], "value"].tolist() == [0.75, 0.5, 1.0]
    assert found.loc["sensitivity", "n"] == 20
    assert counts.to_numpy().tolist() == [[20, 0], [10, 10]]


def test_classes_are_confused_by_kind(tmp_path):
    def choose(trial, k):
        return "metastasis" if (trial["kind"], trial["answer"]) == ("synthetic", "cyst") else trial["answer"]

    found, counts = scored(tmp_path, single_key([name for name in CLASSES for _ in "12"] * 6, "class"), A=choose)
    change = found.loc[("A", "synthetic_minus_real")]
    assert change["value"] == pytest.approx(-1 / 3)
    assert change["low"] < -1 / 3 < change["high"] < 0
    assert found.loc[("A", "p_chance"), "value"] < 1e-8  # 30 of 36 at a chance of 1/3
    assert counts.loc[("A", "synthetic")].to_numpy().tolist() == [[0, 0, 6], [0, 6, 0], [0, 0, 6]]


def test_repeats_count_for_agreement_alone(tmp_path):
    def choose(trial, k):
        return (wrong if trial["repeat"] and trial["item"] == 0 else right)(trial, k)

    found, _ = scored(tmp_path, pairs_key(30, repeats=(0, 1, 2, 3)), A=choose, B=lambda trial, k: "left")
    assert found.loc[("A", "accuracy"), ["value", "n"]].tolist() == [1, 30]
    assert found.loc[("A", "repeats_same"), ["value", "n"]].tolist() == [0.75, 4]
    # first answers l r l r, then, turned back, r r l r: 3/4 alike, 1/2 * 1/4 + 1/2 * 3/4 by chance
    assert found.loc[("A", "repeats_kappa"), "value"] == pytest.approx(0.5)
    assert found.loc[("B", "repeats_same"), "value"] == 0


def test_agreement_between_readers(tmp_path):
    found, _ = scored(
        tmp_path, pairs_key(20), A=right, B=wrong, C=lambda trial, k: (right if k % 4 < 3 else wrong)(trial, k)
    )
    between = found["value"].loc["(between)"]
    assert between[["same: A, B", "same: A, C", "same: B, C"]].tolist() == [0, 0.75, 0.25]
    # A and C: 3/4 alike, C says left in 3/4: 1/2 * 3/4 + 1/2 * 1/4 by chance
    assert between[["cohen: A, B", "cohen: A, C", "cohen: B, C"]].tolist() == pytest.approx([-1, 0.5, -0.5])
    assert between["cohen, mean"] == pytest.approx(-1 / 3)
    assert found.loc[("(pooled)", "accuracy"), "value"] == pytest.approx((1 + 0 + 0.75) / 3)


def test_slices_of_one_case_are_not_independent(tmp_path):
    key = pairs_key(80, cases=8)  # ten slices of each of eight cases
    found, _ = scored(tmp_path, key, A=lambda trial, k: (right if k % 8 < 6 else wrong)(trial, k))
    plain, over_cases = found.loc[("A", "accuracy")], found.loc[("A", "accuracy_over_cases")]
    assert over_cases["value"] == plain["value"] == 0.75
    assert over_cases["high"] - over_cases["low"] > 2 * (plain["high"] - plain["low"])


def test_interval_over_readers_and_cases_covers():
    """Six readers of different skill on forty cases of different difficulty: the mean of all that could be drawn."""
    rng, covered = np.random.default_rng(2), 0
    for _ in range(40):
        chance = np.clip(0.65 + rng.uniform(-0.1, 0.1, 6)[:, None] + rng.uniform(-0.2, 0.2, 40), 0, 1)
        _, _, low, high, n = _over_cases("", rng.random((6, 40)) < chance, np.arange(40), [np.full(40, True)])
        covered += low <= 0.65 <= high
    assert (covered >= 36, n) == (True, 240)
    _, share, low, high, _ = _over_cases("", rng.random((1, 400)) < 0.7, np.arange(400), [np.full(400, True)])
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.01)
    assert _over_cases("", np.ones((2, 5), bool), np.arange(5), [np.full(5, True)]) == ("", 1, None, None, 10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("abc", "xyz", "answers the study 'xyz', the key is of abc"), (",5,left,4.0\n", ",6,left,4.0\n", "in their order"),
     ("abc,A,6,right,5.0\n", "", "has 5 answers, not one to each of 6 trials in their order: let the reader finish"),
     ("left,2.0", "up,2.0", "line 4 has no answer of left, right"), ("2.0", "soon", "line 4 has no"),
     ("2.0", "inf", "line 4 has no"), ("A,3", "B,3", "line 4 .* or name of the reader of the first"),
     ("A,", ",", "line 2 .* or name of the reader"), ("answer", "reply", "cannot read --answers .*answer")],
)  # fmt: skip
def test_answers_that_are_none_are_refused(tmp_path, old, new, message):
    scored(tmp_path, pairs_key(6), A=right)
    read, path = read_key(tmp_path / "key.json"), tmp_path / "A.csv"
    other = answers_csv(tmp_path / "other.csv", read[0], right, "a")
    with pytest.raises(DataError, match="several files of reader a: pass one file of each reader"):
        read_answers([path, other], *read)
    path.write_text(path.read_text().replace("\r", "").replace(old, new))
    with pytest.raises(DataError, match=message):
        read_answers([path], *read)


def test_keys_that_are_none_are_refused(tmp_path):
    for text in ("{", "[]", "{}", '{"trials": [{}]}'):
        (tmp_path / "key.json").write_text(text)
        with pytest.raises(DataError, match="no key of a study.: pass the key.json of the study"):
            read_key(tmp_path / "key.json")
