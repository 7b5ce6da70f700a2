"""Scores in the terminal and as files."""

import csv
import dataclasses
import json

import pytest

from common.errors import OutputError
from common.reader_study.scores import Estimate, Scores
from common.reader_study.tables import require_new, text_of, write_scores

SCORES = Scores(
    "abc", "Which class is it?", 1 / 3,
    {"A": {"accuracy": Estimate(0.75, 0.5, 0.9, 20), "p_chance": Estimate(0.0002, n=20),
           "p_trend": Estimate(None, n=20)},
     "pooled": {"accuracy": Estimate(0.7, n=40)}},
    {"A": {"all": {"x": {"x": 5, "y": 1}, "y": {"x": 0, "y": 14}},
           "real": {"x": {"x": 1, "y": 0}, "y": {"x": 0, "y": 1}}}},
    {"cohen: A, B": Estimate(0.25, n=20)}, ["A note."],
)  # fmt: skip


def test_table_of_the_terminal():
    assert text_of(SCORES).splitlines() == [
        "Which class is it? Study abc; guesses are correct in 0.333.",
        "",
        "                               A  pooled",
        "n                             20      40",
        "accuracy    0.750 [0.500, 0.900]   0.700",
        "p (chance)                <0.001       -",
        "p (trend)                      -       -",
        "",
        "cohen: A, B: 0.250",
        "",
        "A, all images: truth in rows, answers in columns",
        "   x   y",
        "x  5   1",
        "y  0  14",
        "",
        "A note.",
    ]


def test_files_have_every_measure(tmp_path):
    paths = write_scores(tmp_path / "new", SCORES)
    with paths[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"reader": "A", "measure": "accuracy", "value": "0.75", "low": "0.5", "high": "0.9", "n": "20"}
    assert (rows[2]["value"], rows[-1]["reader"], rows[-1]["value"]) == ("", "between readers", "0.25")
    about = json.loads(paths[1].read_text())
    assert about["readers"]["A"]["p_trend"] == {"value": None, "low": None, "high": None, "n": 20}
    assert about["confusion"]["A"]["all"]["x"] == {"x": 5, "y": 1}


def test_a_spreadsheet_computes_no_name(tmp_path):
    named = dataclasses.replace(SCORES, readers={"=1+1": SCORES.readers["A"], "-x": SCORES.readers["A"]})
    with write_scores(tmp_path, named)[0].open(newline="") as file:
        assert {row["reader"] for row in csv.DictReader(file)} == {"'=1+1", "'-x", "between readers"}


def test_scores_are_not_replaced_unasked(tmp_path):
    require_new(None, False)
    require_new(tmp_path, False)
    write_scores(tmp_path, SCORES)
    with pytest.raises(OutputError, match=r"already holds scores.csv, scores.json"):
        require_new(tmp_path, False)
    require_new(tmp_path, True)
    with pytest.raises(OutputError, match="is a file: pass a folder"):
        require_new(tmp_path / "scores.csv", True)
