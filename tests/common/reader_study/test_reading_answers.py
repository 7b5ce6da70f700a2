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
    ("change", "message"),
    [
        (lambda rows: [row.replace("abc", "xyz", 1) for row in rows], "answers the study 'xyz', the key is of abc"),
        (lambda rows: rows[:-2], r"reader A has no answers to 2 of 7 trials \(t5, again1\)"),
        (lambda rows: [*rows, rows[3]], "line 9 is a second answer of A to trial t2"),
        (lambda rows: [row.replace("t3", "t9") for row in rows], "line 5 answers trial 't9', which the page"),
        (lambda rows: [row.replace("left", "middle") for row in rows], "answers 'middle', not one of left, right"),
        (lambda rows: [row.replace(",2.0,", ",soon,") for row in rows], "has seconds 'soon', not a number"),
        (lambda rows: [row.replace(",2.0,", ",-1,") for row in rows], "has seconds '-1', not a number of at least 0"),
        (lambda rows: [row.replace(",2.0,", ",inf,") for row in rows], "has seconds 'inf'"),
        (lambda rows: [row.replace(",,2.0", ",3,2.0") for row in rows], "has confidence '3', which the study"),
        (lambda rows: [row.replace("abc,1,", "abc,2,") for row in rows], "reader A answers page 2, not one page of 1"),
        (lambda rows: [row.replace(",A,", ", ,") for row in rows], "line 2 names no reader: add the name"),
        (lambda rows: [*rows[:2], rows[3].replace(",3,", ",2,"), rows[2].replace(",2,", ",3,"), *rows[4:]],
         "has trial t2 at position 2, the page at 3"),
        (lambda rows: [rows[0].replace("trial", "image"), *rows[1:]], "a.csv has no column trial: save it again"),
        (lambda rows: rows[:1], "a.csv has no answers: save it again from the page"),
        (lambda rows: [*rows[:3], "abc,1,A"], "line 4 has fewer or more fields than the first line"),
        (lambda rows: [], "no column study"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_refused(tmp_path, key, lines, change, message):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(DataError, match=message):
        read_answers([path], key)


def test_a_reader_has_one_file(tmp_path, key):
    paths = [answers_csv(tmp_path / f"{name}.csv", key, right) for name in "ab"]
    with pytest.raises(DataError, match=r"b.csv, line 2 is a second answer of A.*each file once"):
        read_answers(paths, key)
    for same in ("a", " A "):
        paths[1] = answers_csv(tmp_path / "b.csv", key, right, reader=same)
        with pytest.raises(DataError, match="is a second answer of A to trial"):
            read_answers(paths, key)
    paths[1] = answers_csv(tmp_path / "b.csv", key, right, reader="B")
    assert {one.reader for one in read_answers(paths, key)} == {"A", "B"}


def test_one_file_under_two_names_is_refused(tmp_path, key):
    paths = [answers_csv(tmp_path / "a.csv", key, right, seconds=lambda k: k / 7), tmp_path / "b.csv"]
    paths[1].write_text(paths[0].read_text().replace(",A,", ",B,"))
    with pytest.raises(DataError, match="^the answers of reader B are a copy of those of A: pass the file"):
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
    with pytest.raises(DataError, match="has confidence '', not 1 to 5"):
        read_answers([answers_csv(tmp_path / "a.csv", key, right)], key)


def test_files_that_are_no_csv_are_refused(tmp_path, key):
    with pytest.raises(DataError, match=r"cannot read --answers .*none.csv \(No such file"):
        read_answers([tmp_path / "none.csv"], key)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not a CSV file in UTF-8"):
        read_answers([tmp_path / "b.csv"], key)


def test_keys_that_are_none_are_refused(tmp_path, key):
    path = tmp_path / "key.json"
    key["pixels"] = "f" * 64
    for text, message in (
        ("{", "cannot read --key .*: pass the key"), ("[]", "another JSON file"), (json.dumps({"study": 1}), "another"),
        (json.dumps({**key, "pages": [[{}]]}), "has a page without a valid list of trials"),
        (json.dumps({**key, "pages": []}), "another"),
        (json.dumps({**key, "choices": "left"}), "has no list of choices"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_key(path)
    with pytest.raises(DataError, match="No such file"):
        read_key(tmp_path / "none.json")
    key["study"] = study_id(key)
    path.write_text(json.dumps(key))
    assert read_key(path) == key


def test_an_altered_key_is_refused(tmp_path):
    key = plain_key(6) | {"pixels": "f" * 64}
    key["study"], path = study_id(key), tmp_path / "key.json"
    content = json.dumps(key)
    for old, new in (
        ('"answer": "left"', '"answer": "right"'), ('"case": "case_1"', '"case": "case_2"'), ("ffff", "fffe"),
        (key["study"], "0" * 12),
    ):  # fmt: skip
        path.write_text(content.replace(old, new, 1))
        with pytest.raises(DataError, match="key.json was changed, its content does not match its study's id"):
            read_key(path)
    path.write_text(json.dumps(json.loads(content), indent=3, sort_keys=True))  # the same content
    assert read_key(path) == key
