"""Answers and keys: what is read, and what is refused."""

import json

import pytest
from reading_folders import answers_csv, plain_key, right

from common.errors import DataError
from common.files import as_cell
from common.reader_study.answers import read_answers, read_key
from common.reader_study.study import study_id


@pytest.fixture
def key():
    return plain_key(6, repeats=(1,))


@pytest.fixture
def lines(tmp_path, key):
    """The lines of a file of answers, all correct."""
    return answers_csv(tmp_path / "a.csv", key, right).read_text().splitlines()


def test_answers_are_those_of_the_page(tmp_path, key):
    key["pages"][0][2]["mirrored"] = True
    found = read_answers([answers_csv(tmp_path / "a.csv", key, right, seconds=lambda k: k / 4)], key)
    assert [(one.position, one.item, one.given, one.correct) for one in found][:3] == [
        (1, 0, "left", True), (2, 1, "right", True), (3, 2, "left", True)
    ]  # fmt: skip
    assert [one.seen for one in found] == ["left", "right", "right", "right", "left", "right", "right"]
    assert [one.repeat for one in found] == [False] * 6 + [True]
    assert [one.seconds for one in found] == [k / 4 for k in range(7)]
    assert {(one.kind, one.confidence) for one in found} == {("", None)}
    assert found[4].case == "case_4"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: [row.replace("abc", "xyz", 1) for row in rows], "answer to the study abc, but got one to 'xyz'"),
        (lambda rows: rows[:-2], "reader A: has answers to all 7 trials, but got 2 missing: t5, again1"),
        (lambda rows: [*rows, rows[3]], "line 9: is the only answer of A to this trial, but got a second one"),
        (lambda rows: [row.replace("t3", "t9") for row in rows], "line 5: is about a trial of the page, but got 't9'"),
        (lambda rows: [row.replace("left", "middle") for row in rows], "answers one of left, right, but got 'middle'"),
        (lambda rows: [row.replace(",2.0,", ",soon,") for row in rows], "has seconds, a number not below zero"),
        (lambda rows: [row.replace(",2.0,", ",-1,") for row in rows], "has seconds, a number not below zero"),
        (lambda rows: [row.replace(",2.0,", ",inf,") for row in rows], "has seconds"),
        (lambda rows: [row.replace(",,2.0", ",3,2.0") for row in rows], "has no confidence, but got '3'"),
        (lambda rows: [row.replace("abc,1,", "abc,2,") for row in rows], "answers one page of 1, but got 2"),
        (lambda rows: [row.replace(",A,", ", ,") for row in rows], "names the reader, but got an empty name"),
        (lambda rows: [*rows[:2], rows[3].replace(",3,", ",2,"), rows[2].replace(",2,", ",3,"), *rows[4:]],
         "has trial t2 at position 3, but got 2"),
        (lambda rows: [rows[0].replace("trial", "image"), *rows[1:]], "but got no column trial"),
        (lambda rows: rows[:1], "is the CSV file that a page saved, but got no answers"),
        (lambda rows: [*rows[:3], "abc,1,A"], "line 4: has as many fields as the first line"),
        (lambda rows: [], "no column study"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_refused(tmp_path, key, lines, change, told):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(DataError, match=told):
        read_answers([path], key)


def test_a_reader_has_one_file(tmp_path, key):
    paths = [answers_csv(tmp_path / f"{name}.csv", key, right) for name in "ab"]
    with pytest.raises(DataError, match=r"b.csv, line 2: is the only answer of A.*each file once"):
        read_answers(paths, key)
    for same in ("a", " A "):
        paths[1] = answers_csv(tmp_path / "b.csv", key, right, reader=same)
        with pytest.raises(DataError, match="is the only answer of A to this trial"):
            read_answers(paths, key)
    paths[1] = answers_csv(tmp_path / "b.csv", key, right, reader="B")
    assert {one.reader for one in read_answers(paths, key)} == {"A", "B"}


def test_one_file_under_two_names_is_refused(tmp_path, key):
    paths = [answers_csv(tmp_path / "a.csv", key, right, seconds=lambda k: k / 7), tmp_path / "b.csv"]
    paths[1].write_text(paths[0].read_text().replace(",A,", ",B,"))
    with pytest.raises(DataError, match="^reader B: has answers of their own, but got a copy of those of A; give the"):
        read_answers(paths, key)
    assert len(read_answers(paths[1:], key)) == 7


@pytest.mark.parametrize("name", ["=1+1", "-x", "+49 1", "@b", "'=1", "o'b", "-5"])
def test_a_name_that_a_spreadsheet_would_compute_is_read_as_it_was_typed(tmp_path, key, name):
    (path := answers_csv(tmp_path / "a.csv", key, right)).write_text(
        path.read_text().replace(",A,", f",{as_cell(name)},")
    )
    assert {one.reader for one in read_answers([path], key)} == {name}


def test_confidence_is_one_of_the_levels(tmp_path, key):
    key["confidence"] = [1, 2, 3, 4, 5]
    assert read_answers([answers_csv(tmp_path / "a.csv", key, right, confidence=3)], key)[0].confidence == 3
    with pytest.raises(DataError, match="has a confidence of 1 to 5, but got ''"):
        read_answers([answers_csv(tmp_path / "a.csv", key, right)], key)


def test_files_that_are_no_csv_are_refused(tmp_path, key):
    with pytest.raises(DataError, match=r"--answers .*none.csv: is a CSV file, but got No such file"):
        read_answers([tmp_path / "none.csv"], key)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is a CSV file in UTF-8"):
        read_answers([tmp_path / "b.csv"], key)


def test_keys_that_are_none_are_refused(tmp_path, key):
    path = tmp_path / "key.json"
    key["pixels"] = "f" * 64
    for text, told in (
        ("{", "is the key.json of a study"), ("[]", "another JSON file"), (json.dumps({"study": 1}), "another"),
        (json.dumps({**key, "pages": [[{}]]}), "lists the trials of each page"),
        (json.dumps({**key, "pages": []}), "another"),
        (json.dumps({**key, "choices": "left"}), "lists the choices"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=told):
            read_key(path)
    with pytest.raises(DataError, match="No such file"):
        read_key(tmp_path / "none.json")
    key["study"] = study_id(key)
    path.write_text(json.dumps(key))
    assert read_key(path) == key


def test_an_altered_key_is_refused(tmp_path):
    key = plain_key(6) | {"pixels": "f" * 64}
    key["study"], path = study_id(key), tmp_path / "key.json"
    told = json.dumps(key)
    for old, new in (
        ('"answer": "left"', '"answer": "right"'), ('"case": "case_1"', '"case": "case_2"'), ("ffff", "fffe"),
        (key["study"], "0" * 12),
    ):  # fmt: skip
        path.write_text(told.replace(old, new, 1))
        with pytest.raises(
            DataError, match="key.json: is as it was written, but got other content than its study's id"
        ):
            read_key(path)
    path.write_text(json.dumps(json.loads(told), indent=3, sort_keys=True))  # the same content
    assert read_key(path) == key
