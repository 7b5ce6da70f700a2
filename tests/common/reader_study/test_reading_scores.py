"""Answers that are read or refused, and scores of readers with prescribed answers, computed by hand."""

import numpy as np
import pytest
from reading_folders import answers_csv, right, wrong
from scipy.stats import norm

from common.errors import DataError
from common.reader_study.scores import _over_cases, read_answers, read_key, scores_of

LEFT_RIGHT = ("left", "right")
CLASSES = ("cyst", "hemangioma", "metastasis")


def key_of(count, choices=LEFT_RIGHT, cases=None, repeats=()):
    """Key of a study: answers taking turns, of single images half of each class real, repeats with sides changed."""
    trials = []
    for place, k in enumerate([*range(count), *repeats]):
        repeat = place >= count
        kind = ("real", "synthetic")[k % 2] if choices != LEFT_RIGHT else "real"
        answer = kind if choices == ("real", "synthetic") else choices[(k // (1 + (choices == CLASSES))) % len(choices)]
        if repeat and choices == LEFT_RIGHT:
            answer = wrong(LEFT_RIGHT)({"answer": answer}, k)
        case = f"case_{k % (cases or count)}"
        trials.append({"item": k, "answer": answer, "repeat": repeat, "kind": kind, "case": case, "images": []})
    about = "class" if choices == CLASSES else "real"
    design = "two-alternative" if choices == LEFT_RIGHT else "single"
    return {"study": "abc", "choices": list(choices), "design": design, "about": about, "trials": trials}


@pytest.fixture
def scored(tmp_path):
    """Measures by reader and name, and counts, of readers, each given by the function that chooses the answers."""

    def score(key, seconds=lambda k: 2.0, **readers):
        import json

        (tmp_path / "key.json").write_text(json.dumps(key))
        key, trials = read_key(tmp_path / "key.json")
        files = [answers_csv(tmp_path / f"{name}.csv", key, choose, name, seconds) for name, choose in readers.items()]
        measures, counts = scores_of(key, read_answers(files, key, trials))
        return measures.set_index(["reader", "measure"]), counts

    return score


def test_a_reader_right_in_four_of_five(scored):
    choose = {0: wrong(LEFT_RIGHT)}
    found, counts = scored(key_of(100), A=lambda trial, k: choose.get(k % 5, right)(trial, k), seconds=lambda k: k)
    found, z = found.loc["A"], norm.ppf(0.975)
    centre, half = (80 + z**2 / 2) / (100 + z**2), z * np.sqrt(80 * 20 / 100 + z**2 / 4) / (100 + z**2)
    assert found.loc["accuracy"].tolist() == pytest.approx([0.8, centre - half, centre + half, 100])
    assert found.loc["p_chance", "value"] < 1e-8
    assert found.loc["learning", "value"] == 0
    assert found.loc["learning", "low"] < -0.1 < 0.1 < found.loc["learning", "high"]
    assert found.loc["seconds_median", "value"] == 49.5
    assert counts.empty


def test_sensitivity_is_about_synthetic_images(scored):
    found, counts = scored(
        key_of(40, ("real", "synthetic")), A=lambda trial, k: trial["answer"] if k % 4 == 1 else "real"
    )
    values = found["value"].loc["A"]
    assert (values["accuracy"], values["sensitivity"], values["specificity"]) == (0.75, 0.5, 1.0)
    assert found.loc[("A", "sensitivity"), "n"] == 20
    assert counts.reset_index().to_numpy().tolist() == [
        ["A", "real", "real", 20, 0], ["A", "synthetic", "synthetic", 10, 10]
    ]  # fmt: skip


def test_classes_are_confused_by_kind(scored):
    def choose(trial, k):
        return "metastasis" if (trial["kind"], trial["answer"]) == ("synthetic", "cyst") else trial["answer"]

    found, counts = scored(key_of(36, CLASSES), A=choose)
    change = found.loc[("A", "synthetic_minus_real")]
    assert change["value"] == pytest.approx(-1 / 3)
    assert change["low"] < -1 / 3 < change["high"] < 0
    assert found.loc[("A", "p_chance"), "value"] < 1e-8  # 30 of 36 at a chance of 1/3
    assert counts.loc[("A", "synthetic", "cyst")].to_dict() == {"cyst": 0, "hemangioma": 0, "metastasis": 6}
    assert counts.loc[("A", "real", "cyst"), "cyst"] == 6


def test_repeats_count_for_agreement_alone(scored):
    def choose(trial, k):
        return wrong(LEFT_RIGHT)(trial, k) if trial["repeat"] and trial["item"] == 0 else right(trial, k)

    found, _ = scored(key_of(30, repeats=(0, 1, 2, 3)), A=choose, B=lambda trial, k: "left")
    assert found.loc[("A", "accuracy"), ["value", "n"]].tolist() == [1, 30]
    assert found.loc[("A", "repeats_same"), ["value", "n"]].tolist() == [0.75, 4]
    # first answers l r l r, then, turned back, r r l r: 3/4 alike, 1/2 * 1/4 + 1/2 * 3/4 by chance
    assert found.loc[("A", "repeats_kappa"), "value"] == pytest.approx(0.5)
    assert found.loc[("B", "repeats_same"), "value"] == 0


def test_agreement_between_readers(scored):
    def half(trial, k):
        return right(trial, k) if k % 4 < 3 else wrong(LEFT_RIGHT)(trial, k)

    found, _ = scored(key_of(20), A=right, B=wrong(LEFT_RIGHT), C=half)
    between = found["value"].loc["(between)"]
    assert between[["same: A, B", "same: A, C", "same: B, C"]].tolist() == [0, 0.75, 0.25]
    # A and C: 3/4 alike, C says left in 3/4: 1/2 * 3/4 + 1/2 * 1/4 by chance
    assert between[["cohen: A, B", "cohen: A, C", "cohen: B, C"]].tolist() == pytest.approx([-1, 0.5, -0.5])
    assert between["cohen, mean"] == pytest.approx(-1 / 3)
    assert found.loc[("(pooled)", "accuracy"), "value"] == pytest.approx((1 + 0 + 0.75) / 3)


def test_slices_of_one_case_are_not_independent(scored):
    key = key_of(80, cases=8)  # ten slices of each of eight cases
    found, _ = scored(key, A=lambda trial, k: (right if k % 8 < 6 else wrong(LEFT_RIGHT))(trial, k))
    plain, over_cases = found.loc[("A", "accuracy")], found.loc[("A", "accuracy_over_cases")]
    assert over_cases["value"] == plain["value"] == 0.75
    assert over_cases["high"] - over_cases["low"] > 2 * (plain["high"] - plain["low"])


def test_interval_over_readers_and_cases_covers():
    """Six readers of different skill on forty cases of different difficulty: the mean of all that could be drawn."""
    rng, covered, every = np.random.default_rng(2), 0, [np.full(40, True)]
    for _ in range(40):
        chance = np.clip(0.65 + rng.uniform(-0.1, 0.1, 6)[:, None] + rng.uniform(-0.2, 0.2, 40), 0, 1)
        _, _, low, high, n = _over_cases("", rng.random((6, 40)) < chance, np.arange(40), every)
        covered += low <= 0.65 <= high
    assert (covered >= 36, n) == (True, 240)
    correct = rng.random((1, 400)) < 0.7
    _, share, low, high, _ = _over_cases("", correct, np.arange(400), [np.full(400, True)])
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.01)
    assert _over_cases("", np.ones((2, 5), bool), np.arange(5), [np.full(5, True)]) == ("", 1, None, None, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row.replace("abc", "xyz") for row in rows], "answers the study 'xyz', the key is of abc"),
        (lambda rows: rows[:-2], "has 4 answers, not one to each of 6 trials in their order: let the reader finish"),
        (lambda rows: [*rows, rows[3]], "has 7 answers"),
        (lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]], "in their order"),
        (lambda rows: [row.replace("left", "up") for row in rows], "line 2 has no answer of left, right"),
        (lambda rows: [*rows[:2], rows[2].replace("2.0", "soon"), *rows[3:]], "line 3 has no answer of"),
        (lambda rows: [*rows[:2], rows[2].replace("2.0", "inf"), *rows[3:]], "line 3 has no answer of"),
        (lambda rows: [*rows[:2], rows[2].replace("A", "B"), *rows[3:]], "line 3 .* or name of the reader of the first"),
        (lambda rows: [row.replace(",A,", ",,") for row in rows], "line 2 .* or name of the reader"),
        (lambda rows: [rows[0].replace("answer,", "reply,"), *rows[1:]], "cannot read --answers .*answer"),
        (lambda rows: [], "cannot read --answers .*a.csv"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_refused(tmp_path, scored, change, message):
    key = key_of(6)
    path = answers_csv(tmp_path / "a.csv", key, right)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    scored(key, A=right)
    with pytest.raises(DataError, match=message):
        read_answers([path], *read_key(tmp_path / "key.json"))
    other = answers_csv(tmp_path / "b.csv", key, right, "a")
    with pytest.raises(DataError, match="several files of reader a: pass one file of each reader"):
        read_answers([tmp_path / "A.csv", other], *read_key(tmp_path / "key.json"))


def test_keys_that_are_none_are_refused(tmp_path):
    path = tmp_path / "key.json"
    with pytest.raises(DataError, match=r"cannot read --key .* \(No such file"):
        read_key(path)
    for text in ("{", "[]", "{}", '{"trials": [{}]}'):
        path.write_text(text)
        with pytest.raises(DataError, match="no key of a study.: pass the key.json of the study"):
            read_key(path)
