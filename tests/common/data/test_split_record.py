"""The record of a split on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.data.datalist import load_datalist
from common.data.identity import FileIdentity
from common.data.split_record import Cases, SplitRecord, move_split, write_split
from common.errors import DataError


def record(folder: Path) -> SplitRecord:
    """A case in the folder itself, and one elsewhere that is gone."""
    inside = {"case": "a", "patient": "a", "image": str(folder / "data" / "a.nii")}
    outside = {"case": "b", "patient": "p", "image": ["/gone/b1.nii", "/gone/b2.nii"], "label": "/gone/ct.nii"}
    files = {inside["image"]: FileIdentity("1f", 20, 300), "/gone/b1.nii": FileIdentity("2f", 5, 6)}
    return SplitRecord({"training": [inside], "test": [outside]}, files, {"seed": 3, "root": "/gone"})


def test_what_is_written_is_read_again_without_the_files_and_is_a_datalist(tmp_path: Path) -> None:
    path = tmp_path / "datalist.json"
    record(tmp_path).write(path)
    assert SplitRecord.read(path) == record(tmp_path)
    assert SplitRecord.read(path).root == "/gone"
    content = json.loads(path.read_text())
    assert content["files"]["data/a.nii"] == {"sha256": "1f", "size": 20, "mtime_ns": 300}
    assert content["training"][0]["image"] == "data/a.nii"
    assert load_datalist(path, must_exist=False) == record(tmp_path).lists


@pytest.mark.parametrize("files", [[1], {"a.nii": "1f"}, {"a.nii": {"sha256": "1f"}}])
def test_identities_of_another_form_are_refused(tmp_path: Path, files: object) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"files": files, "training": [{"case": "a", "image": "a.nii"}]}))
    with pytest.raises(DataError, match=r"x.json has .* in its files, not sha256, size and mtime_ns"):
        SplitRecord.read(tmp_path / "x.json")


def test_only_a_new_split_is_written(tmp_path: Path) -> None:
    for cases in ({"training": []}, Cases({"training": []}), None):
        write_split(cases, tmp_path)
    assert list(tmp_path.iterdir()) == []
    write_split(Cases({"training": []}, record(tmp_path)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["datalist.json"]


def test_a_moved_record_still_leads_to_its_files_and_what_is_none_is_moved_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "datalist.json", tmp_path / "models" / "previous"
    new.mkdir(parents=True)
    record(tmp_path).write(old)
    move_split(tmp_path, new)
    assert SplitRecord.read(new / "datalist.json") == record(tmp_path)
    assert not old.exists()
    old.write_text("not JSON")
    move_split(tmp_path, new)
    assert (new / "datalist.json").read_text() == "not JSON"
    assert not old.exists()
    move_split(tmp_path, tmp_path / "none")  # nothing is left to move
