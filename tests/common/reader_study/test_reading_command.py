"""The command ``synthesize reader-study``: from two folders over a reader's answers to the scores."""

import json
import sys

import forked_commands
import pytest
from reading_folders import answers_csv, page_data, right, write_heads, write_patches

from medical_image_synthesis.command import main as synthesize


def main(words: list[str]) -> int:
    """Run the command with these words."""
    return synthesize(["reader-study", *map(str, words)])


def words(folders, *more):
    return ["make", "--real", str(folders[0]), "--synthetic", str(folders[1]), *more]


def refusal(capsys, arguments):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err


def test_make_and_score(tmp_path, capsys):
    out = tmp_path / "study"
    given = ("--slices", "2", "--trials", "10", "--repeats", "2", "--seed", "7", "--out", str(out))
    assert main(words(write_heads(tmp_path), *given)) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Which image is real? 10 trials and 2 of them again, window 0 to 1")
    assert f"not for readers: {out / 'key.json'}" in printed
    key = json.loads((out / "key.json").read_text())
    files = [answers_csv(tmp_path / f"{name}.csv", key, right, name) for name in "AB"]
    scoring = [
        "score",
        "--key",
        str(out / "key.json"),
        "--answers",
        *map(str, files),
        "--out",
        str(tmp_path / "scores"),
    ]
    assert main(scoring) == 0
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["readers"]["A"]["accuracy"]["value"] == 1
    assert "error: --out" in refusal(capsys, scoring)
    assert main([*scoring, "--overwrite"]) == 0


def test_a_seed_that_is_not_given_is_drawn(tmp_path, capsys):
    folders = write_heads(tmp_path)
    seeds = []
    for name in ("a", "b"):
        assert main(words(folders, "--out", str(tmp_path / name))) == 0
        seeds.append(json.loads((tmp_path / name / "key.json").read_text())["seed"])
        assert str(seeds[-1]) not in (tmp_path / name / "for_readers" / "page.html").read_text()
    assert seeds[0] != seeds[1]


def test_lesions_are_asked_for_by_class(tmp_path, capsys):
    folders = write_patches(tmp_path)
    for design, question, choices in (
        ("single", "class", ["cyst", "hemangioma", "metastasis"]), ("single", "cyst", ["yes", "no"]),
        ("two-alternative", "metastasis", ["left", "right"]), ("single", "real", ["real", "synthetic"]),
    ):  # fmt: skip
        given = ("--design", design, "--question", question, "--out", str(tmp_path / "out"), "--overwrite")
        assert main(words(folders, *given)) == 0
        data, _ = page_data(tmp_path / "out" / "for_readers" / "page.html")
        assert data["choices"] == choices
        assert len(data["trials"]) == {"cyst": 24, "metastasis": 12}.get(question, 36)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--trials", "100"), "error: --trials is 100, the images give at most 6"),
        (("--slices", "20"), "--slices is 20: lower"),
        (("--repeats", "3"), "error: --repeats is 3, 2 are allowed, a third of the 6 trials"),
        (("--window", "5", "1"), "error: --window is 5 1: pass two finite numbers"),
        (("--question", "cyst"), "error: --question cyst needs two classes"),
        (("--real_name", "ct"), "error: --real"),
        (("--synthetic", "nowhere"), "error: no folder nowhere (from --synthetic)"),
    ],
)  # fmt: skip
def test_mistakes_of_make_end_on_one_line(tmp_path, capsys, more, message):
    assert message in refusal(capsys, words(write_heads(tmp_path), "--out", str(tmp_path / "out"), *more))
    assert not (tmp_path / "out").exists()


def test_it_is_a_command(tmp_path):
    command = [
        sys.executable,
        "-m",
        "medical_image_synthesis",
        "reader-study",
        "score",
        "--key",
        str(tmp_path / "k.json"),
        "--answers",
        "a.csv",
    ]
    done = forked_commands.run(command)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: cannot read --key {tmp_path / 'k.json'} (No such")
