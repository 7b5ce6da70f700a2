"""Answers that are read or refused, and scores of readers with prescribed answers, computed by hand."""

import json

import numpy as np
import pytest
from reading_folders import CLASSES, answers_csv, right
from scipy.stats import norm

from common.errors import DataError
from common.reader_study.scores import _over_cases, read_answers, read_key, scores_of

KINDS = ("real", "synthetic")
OTHER = {"left": "right", "right": "left"}


def wrong(trial, k):
    return OTHER[trial["answer"]]


def key_of(answers, kinds=("real",), cases=100, repeats=(), about="real"):
    """Key of a study with these answers, kinds and cases in turn; repeated pairs have the real image elsewhere."""
    trials = [
        {"item": k, "answer": answer, "repeat": False, "kind": kinds[k % len(kinds)], "case": f"case_{k % cases}"}
        for k, answer in enumerate(answers)
    ]
    trials += [{**trials[k], "repeat": True, "answer": OTHER[answers[k]]} for k in repeats]
    design = "two-alternative" if "left" in answers else "single"
    return {"study": "abc", "choices": sorted({*answers}), "design": design, "about": about, "trials": trials}


def scored(folder, key, **readers):
    """Measures by reader and name, and counts, of readers, each given by the function that chooses the answers."""
    (folder / "key.json").write_text(json.dumps(key))
    key, trials = read_key(folder / "key.json")
    files = [answers_csv(folder / f"{name}.csv", key, choose, name) for name, choose in readers.items()]
    measures, counts = scores_of(key, read_answers(files, key, trials))
    return measures.set_index(["reader", "measure"]), counts


def test_a_reader_right_in_four_of_five(tmp_path):
    key, z = key_of(["left", "right"] * 50, cases=40), norm.ppf(0.975)
    found, counts = scored(tmp_path, key, A=lambda trial, k: (right if k % 5 else wrong)(trial, k))
    found = found.loc["A"]
    centre, half = (80 + z**2 / 2) / (100 + z**2), z * np.sqrt(80 * 20 / 100 + z**2 / 4) / (100 + z**2)
    assert found.loc["accuracy"].tolist() == pytest.approx([0.8, centre - half, centre + half, 100])
    assert found.loc["p_chance", "value"] < 1e-8
    assert found.loc["learning", "low"] < -0.05 < found.loc["learning", "value"] == 0 < found.loc["learning", "high"]
    assert found.loc["seconds_median", "value"] == 49.5
    assert found.loc["accuracy_over_cases", "low"] < found.loc["accuracy", "low"]  # 8 of 40 cases
    assert counts.to_numpy().tolist() == [[40, 10], [10, 40]]


def test_sensitivity_is_about_synthetic_images(tmp_path):
    key = key_of(["real", "synthetic"] * 20, KINDS)
    found, counts = scored(tmp_path, key, A=lambda trial, k: trial["answer"] if k % 4 == 1 else "real")
    assert found.loc["A"].loc[["accuracy", "sensitivity", "specificity"], "value"].tolist() == [0.75, 0.5, 1.0]
    assert counts.to_numpy().tolist() == [[20, 0], [10, 10]]


def test_classes_are_confused_by_kind(tmp_path):
    def choose(trial, k):
        return "metastasis" if (trial["kind"], trial["answer"]) == ("synthetic", "cyst") else trial["answer"]

    key = key_of([name for name in CLASSES for _ in KINDS] * 6, KINDS, about="class")
    found, counts = scored(tmp_path, key, A=choose)
    change = found.loc[("A", "synthetic_minus_real")]
    assert change["value"] == pytest.approx(-1 / 3)
    assert change["low"] < -1 / 3 < change["high"] < 0
    assert found.loc[("A", "p_chance"), "value"] < 1e-8  # 30 of 36 at a chance of 1/3
    assert counts.loc[("A", "synthetic")].to_numpy().tolist() == [[0, 0, 6], [0, 6, 0], [0, 0, 6]]


def test_agreement_within_and_between_readers(tmp_path):
    def choose(trial, k):
        return (wrong if trial["repeat"] and trial["item"] == 0 else right)(trial, k)

    key = key_of(["left", "right"] * 10, repeats=(0, 1, 2, 3))
    found, _ = scored(tmp_path, key, A=choose, B=wrong, C=lambda trial, k: (right if k % 4 < 3 else wrong)(trial, k))
    assert found.loc[("A", "accuracy"), ["value", "n"]].tolist() == [1, 20]  # the first answers alone
    assert found.loc[("A", "repeats_same"), ["value", "n"]].tolist() == [0.75, 4]
    # first answers l r l r, then, turned back, r r l r: 3/4 alike, 1/2 * 1/4 + 1/2 * 3/4 by chance
    assert found.loc[("A", "repeats_kappa"), "value"] == pytest.approx(0.5)
    between = found["value"].loc["(between)"]
    assert between[["same: A, B", "same: A, C", "same: B, C"]].tolist() == [0, 0.75, 0.25]
    # A and C: 3/4 alike, C says left in 3/4: 1/2 * 3/4 + 1/2 * 1/4 by chance
    assert between[["cohen: A, B", "cohen: A, C", "cohen: B, C"]].tolist() == pytest.approx([-1, 0.5, -0.5])
    assert between["cohen, mean"] == pytest.approx(-1 / 3)
    assert found.loc[("(pooled)", "accuracy"), "value"] == pytest.approx((1 + 0 + 0.75) / 3)


def test_intervals_are_over_readers_and_cases():
    """Half of ten are right throughout: quantiles 0.025 and 0.975 of a binomial distribution of 10 are 2 and 8."""
    half, every = np.repeat([[0, 1]], 5, axis=0).reshape(1, 10), [np.full(10, True)]
    for correct in (half, np.repeat(half, 9, axis=0), np.repeat(half.T, 10, axis=1)):
        assert _over_cases("", correct, np.arange(10), every)[1:4] == pytest.approx((0.5, 0.2, 0.8))
    assert _over_cases("", np.ones((2, 10)), np.arange(10), every) == ("", 1, None, None, 20)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("abc", "xyz", "answers the study 'xyz', the key is of abc"), (",5,left,4.0\n", ",6,left,4.0\n", "in their order"),
     ("abc,A,6,right,5.0\n", "", "has 5 answers, not one to each of 6 trials in their order: let the reader finish"),
     ("left,2", "up,2", "line 4 has no answer of left, right"), ("2.0", "soon", "line 4 has no"), ("2.0", "inf", "4"),
     ("A,3", "B,3", "line 4 .* the reader of the first"), ("A,", ",", "line 2"), ("answer", "reply", "cannot read"),
     (",", ";", "its columns are not study, reader, position, answer, seconds, separated by commas.: save the file")],
)  # fmt: skip
def test_answers_that_are_none_are_refused(tmp_path, old, new, message):
    scored(tmp_path, key_of(["left", "right"] * 3), A=right)
    read, path = read_key(tmp_path / "key.json"), tmp_path / "A.csv"
    with pytest.raises(DataError, match="several files of reader a: pass one file of each reader"):
        read_answers([path, answers_csv(tmp_path / "other.csv", read[0], right, "a")], *read)
    with pytest.raises(DataError, match="it is no key of a study.: pass the key.json"):
        read_key(path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read_answers([path], *read)


def test_empty_rows_and_endings_of_a_spreadsheet_change_no_answer(tmp_path):
    scored(tmp_path, key_of(["left", "right"] * 3), A=right)
    read, path = read_key(tmp_path / "key.json"), tmp_path / "A.csv"
    text = path.read_text() + ",,,,\n,,,,\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_answers([path], *read)["answer"].tolist() == ["left", "right"] * 3
