"""Files and folders are there whole, or what stood there before is; names of files; folders of others stay."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from common.errors import ConfigError, DataError, OutputError
from common.files import (
    LONGEST_NAME,
    TEMPORARY_PREFIX,
    as_cell,
    parse_json,
    remove,
    remove_unfinished,
    require_bounded,
    require_file_name,
    text_of_cell,
    write_text,
    write_whole_folder,
)


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1+1", "'=1+1"), ("+49 1", "'+49 1"), ("-x", "'-x"), ("@a", "'@a"), ("\t=1", "'\t=1"), ("\rx", "'\rx"),
     ("'=1", "''=1"), ("-5", "-5"), ("+1e-3", "+1e-3"), ("-inf", "-inf"), ("a=1", "a=1"), ("'s", "'s"), ("", ""),
     (-5, -5), (None, None)],
)  # fmt: skip
def test_a_spreadsheet_computes_no_cell(value, cell):
    assert as_cell(value) == cell
    if isinstance(value, str):
        assert text_of_cell(cell) == value


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000 + "]" * 100_000])
def test_what_is_no_json_is_a_value_error(text):
    assert parse_json('{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting|nested too deeply"):
        parse_json(text)


def test_removes_files_folders_and_links_but_not_what_these_lead_to(tmp_path):
    paths = [tmp_path / name for name in ("folder", "file", "link", "gone")]
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    paths[1].touch()
    paths[2].symlink_to(tmp_path / "other")
    remove(*paths)
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]


def fill(text):
    return lambda folder: (folder / "IM0001.dcm").write_text(text)


def own(path):
    return True


@pytest.mark.parametrize(
    "name", ["a", "site.1.v2", "..a", "a..", ".hidden", "ä b", "DOE^JANE", "病例", "-", "a:b", "x" * 226]
)
def test_names_of_files(tmp_path, name):
    require_file_name(name, "case", ".json")
    write_text(tmp_path / f"{name}.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "/etc/a", "../a", "a/b", "a/", "..\\a", "a\0b", "a\nb", "a\x7f", "a\x85", "a\ud800", "\udcff"],
)
def test_names_that_are_refused(name):
    with pytest.raises(DataError) as caught:
        require_file_name(name, "case")
    remedy = "give a name without / or \\ and control characters, not empty and not . or .."
    assert str(caught.value) == f"case {name!r} cannot name a file: {remedy}"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("letter", ["x", "é", "病"])
def test_the_longest_name_of_a_file_leaves_room_for_the_temporary_one(tmp_path, letter):
    most = (LONGEST_NAME - len(".a.json")) // len(letter.encode())
    require_file_name(letter * most, "case", ".a.json")
    write_text(tmp_path / f"{letter * most}.a.json", "{}")
    longest = "." + letter * ((LONGEST_NAME - len("..json")) // len(letter.encode()))  # all of it is a suffix
    write_text(tmp_path / f".{longest}.json", "{}")
    assert len(TEMPORARY_PREFIX) + 12 + LONGEST_NAME == 255
    message = rf"--classes '{letter}+'\.\.\. gives a file name of \d+ bytes, over 231: shorten it"
    with pytest.raises(ConfigError, match=message):
        require_file_name(letter * (most + 1), "--classes", ".a.json", ConfigError)


def test_a_folder_of_others_is_kept(tmp_path):
    target = tmp_path / "case"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    asked, written = [], []
    message = "case holds files that this project did not write: move it away"
    with pytest.raises(OutputError, match=message):
        write_whole_folder(target, written.append, lambda path: bool(asked.append(path)))
    assert (asked, written) == ([target], [])
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("mine.txt", "mine")]
    assert list(tmp_path.iterdir()) == [target]


def test_an_empty_folder_is_anyone_s(tmp_path):
    (tmp_path / "case").mkdir()
    write_whole_folder(tmp_path / "case", fill("first"), lambda path: False)
    assert (tmp_path / "case" / "IM0001.dcm").read_text() == "first"


@pytest.mark.parametrize("kind", ["file", "link", "link that leads nowhere"])
def test_what_is_no_folder_is_not_replaced_by_one(tmp_path, kind):
    target, elsewhere = tmp_path / "case", tmp_path / "elsewhere"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(elsewhere)
    if kind == "link":
        write_whole_folder(elsewhere, fill("first"), own)
    with pytest.raises(OutputError, match=f"case is a {kind[:4]}: move it away"):
        write_whole_folder(target, fill("second"), own)
    assert target.is_symlink() == (kind != "file")
    assert kind != "file" or target.read_text() == "mine"
    assert kind != "link" or (elsewhere / "IM0001.dcm").read_text() == "first"


def test_a_folder_replaces_another_whole(tmp_path):
    target = tmp_path / "new" / "case"
    write_whole_folder(target, fill("first"), own)
    (target / "left over").touch()
    write_whole_folder(target, fill("second"), own)
    assert [path.name for path in target.iterdir()] == ["IM0001.dcm"]
    assert (target / "IM0001.dcm").read_text() == "second"
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o755 == 0o755


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(OSError(errno.ENOSPC, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
@pytest.mark.parametrize("existing", [False, True])
def test_failure_midway_leaves_what_was_there(tmp_path, failure, expected, existing):
    target = tmp_path / "case"
    if existing:
        write_whole_folder(target, fill("first"), own)

    def fail(folder):
        (folder / "IM0001.dcm").write_text("half")
        raise failure

    with pytest.raises(expected, match=r"cannot write .*case \(No space left.*\): free space|^$"):
        write_whole_folder(target, fail, own)
    assert list(tmp_path.iterdir()) == ([target] if existing else [])
    if existing:
        assert (target / "IM0001.dcm").read_text() == "first"


def test_a_failure_between_the_two_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    target, rename = tmp_path / "case", Path.rename
    write_whole_folder(target, fill("first"), own)

    def fail(self, other):
        if self.name == "made":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"cannot write .*case \(Input/output error"):
        write_whole_folder(target, fill("second"), own)
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "IM0001.dcm").read_text() == "first"


def test_what_a_killed_process_left_is_removed_and_links_are_not_followed(tmp_path):
    write_whole_folder(tmp_path / "elsewhere", fill("mine"), own)
    write_whole_folder(tmp_path / f"{TEMPORARY_PREFIX}a", fill("half"), own)
    (tmp_path / f"{TEMPORARY_PREFIX}b.nii.gz").touch()
    (tmp_path / f"{TEMPORARY_PREFIX}c").symlink_to(tmp_path / "elsewhere")
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "elsewhere"]
    assert (tmp_path / "elsewhere" / "IM0001.dcm").read_text() == "mine"


def test_settings_are_counted_with_their_aliases_written_out() -> None:
    shared: list = ["x"] * 99
    require_bounded({"a": [shared] * 99}, "mine.yaml")  # 1 + 1 + 99 * 100 values
    with pytest.raises(ConfigError, match="mine.yaml has over 10000 settings or 50 levels, aliases"):
        require_bounded({"a": [shared] * 100}, "mine.yaml")
    deep: object = 1
    for _ in range(49):
        deep = [deep]
    require_bounded(deep, "mine.yaml")
    with pytest.raises(ConfigError, match="mine.yaml has over"):
        require_bounded([deep], "mine.yaml")
