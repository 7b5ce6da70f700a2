"""Commands of two folders in turns."""

import pytest

from tools.bench.__main__ import main
from tools.bench.clock import in_turns
from tools.repository import ROOT

NOTES_ITS_FOLDER = "import pathlib, sys; print(sys.argv[2], pathlib.Path.cwd(), file=open(sys.argv[1], 'a'))"


def test_commands_run_in_turns_each_in_its_own_folder(tmp_path):
    log, older = tmp_path / "log", tmp_path / "older"
    older.mkdir()
    before, after = ([["-c", NOTES_ITS_FOLDER, str(log), f"{side}{n}"] for n in (1, 2)] for side in ("old", "new"))
    times = in_turns(before, after, 2, older)
    once = [f"old1 {older}", f"new1 {ROOT}", f"old2 {older}", f"new2 {ROOT}"]
    assert log.read_text().splitlines() == once + once
    assert len(times) == 2
    assert all(seconds > 0 for pair in times for seconds in pair)


def test_a_command_that_fails_ends_the_measurement_with_what_it_printed(tmp_path):
    with pytest.raises(SystemExit, match=r"ZeroDivisionError[\s\S]*error: exit code 1 of \S+ -W ignore -c 1/0"):
        in_turns([["-c", "1/0"]], [["-c", "pass"]], 1, tmp_path)


def test_a_part_that_compares_folders_asks_for_the_other(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tools.bench", "training"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "training compares with another folder: add --against FOLDER" in capsys.readouterr().err
