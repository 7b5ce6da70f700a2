"""What makes two files the same image, and when a file is read again."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series

from common.data import identity
from common.data.identity import FileIdentity, content_hash, identify, recall, remember
from common.errors import DataError
from common.io import VolumeReader

VALUES = np.arange(60, dtype=np.int16).reshape(5, 4, 3) - 7


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_known", {})


def nifti(path: Path, values: np.ndarray = VALUES, text: str = "") -> str:
    image = nib.Nifti1Image(values, np.diag([2, 2, 2, 1]))
    image.header["descrip"] = text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return str(path)


def hash_of(path: str | Path, reader: VolumeReader | None = None) -> str:
    return identify([{"case": "a", "image": str(path)}], reader)[str(path)].sha256


def test_a_voxel_or_the_shape_makes_a_difference_and_name_compression_text_and_stored_type_none(tmp_path: Path) -> None:
    first = hash_of(nifti(tmp_path / "a.nii.gz"))
    assert hash_of(nifti(tmp_path / "b" / "other.nii", text="exported again")) == first
    assert hash_of(nifti(tmp_path / "c.nii", VALUES.astype(np.float32))) == first
    assert hash_of(nifti(tmp_path / "d.nii", np.where(VALUES == 0, -0.0, VALUES).astype(np.float32))) == first
    changed = VALUES.copy()
    changed[4, 3, 2] += 1
    files = [VALUES, changed, VALUES.reshape(4, 5, 3), VALUES[::-1]]
    assert len({hash_of(nifti(tmp_path / f"{n}.nii", values)) for n, values in enumerate(files)}) == 4


def test_the_hash_is_of_shape_and_values_whatever_their_order_in_memory() -> None:
    values = np.array([[[1.0], [2.0]]], np.float32)
    # sha256 of b"(1, 2, 1)" and of 1 and 2 as little-endian float32, first axis fastest
    assert content_hash(values) == "49195064127897201c23ad7e3d256b5342ee4be9ab5346e192e69e5d833fe3ea"
    assert content_hash(np.asfortranarray(VALUES)) == content_hash(np.ascontiguousarray(VALUES))


def test_a_series_is_known_by_its_pixels_whatever_its_files_are_called(tmp_path: Path) -> None:
    grid = Grid()
    write_series(tmp_path / "one", grid)
    write_series(tmp_path / "two", grid, prefix="renamed")
    write_series(tmp_path / "other", grid, values=grid.values() + 1)
    one, two, other = (hash_of(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_not_a_number_is_no_obstacle_and_its_replacement_no_difference(tmp_path: Path) -> None:
    values = VALUES.astype(np.float32)
    values[0, 0, 0] = np.nan
    path = nifti(tmp_path / "a.nii", values)
    filled = hash_of(path, VolumeReader(nan_fill=-1000))
    identity._known.clear()
    assert hash_of(path) == filled


def test_channels_in_one_file_and_in_several(tmp_path: Path) -> None:
    path = nifti(tmp_path / "maps.nii", np.stack([VALUES, VALUES + 1], axis=-1))
    items = [{"case": "a", "image": path}, {"case": "b", "image": [nifti(tmp_path / "fa.nii"), path]}]
    assert len(identify(items[:1], VolumeReader(channels=2))) == 1
    identity._known.clear()
    with pytest.raises(DataError, match=r"b \(maps.nii\)"):
        identify(items[1:], VolumeReader(channels=2))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot gzip", None])
def test_a_damaged_or_missing_file_is_the_usual_error(tmp_path: Path, content: bytes | None) -> None:
    good, bad = nifti(tmp_path / "good.nii.gz"), tmp_path / "bad.nii.gz"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(DataError, match=r"^case_7 \(bad.nii.gz\): .*; "):
        identify([{"case": "case_1", "image": good}, {"case": "case_7", "image": good, "label": str(bad)}])


class Reads:
    """Counts the files that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []
        check = VolumeReader.check

        def counted(reader: VolumeReader, path: str, *arguments: object, **more: object) -> object:
            self.paths.append(Path(path).name)
            return check(reader, path, *arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(VolumeReader, "check", counted)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, path = Reads(monkeypatch), nifti(tmp_path / "a.nii")
    first = hash_of(path)
    (tmp_path / "link.nii").symlink_to(path)
    assert hash_of(tmp_path / "link.nii") == first
    assert reads.paths == ["a.nii"]
    nifti(tmp_path / "a.nii", VALUES + 1)
    os.utime(path, ns=(1, 1))
    assert hash_of(path) != first
    assert reads.paths == ["a.nii", "a.nii"]


def test_a_record_spares_the_reading_of_what_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [nifti(tmp_path / "a.nii"), nifti(tmp_path / "b.nii", VALUES + 1)]
    items = [{"case": "x", "image": paths}]
    record = identify(items)
    identity._known.clear()
    reads = Reads(monkeypatch)
    record[paths[1]] = FileIdentity("of before", record[paths[1]].size + 1, record[paths[1]].mtime_ns)
    recall(record | {str(tmp_path / "gone.nii"): FileIdentity("x", 1, 1)})
    assert identify(items)[paths[0]] == record[paths[0]]
    assert reads.paths == ["b.nii"]


def test_what_the_data_check_has_read_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nifti(tmp_path / "a.nii")
    expected = hash_of(path)
    identity._known.clear()
    remember(path, np.zeros((5, 4, 3), np.float32), nan_fill=-1000)  # values that another filling has changed
    reads = Reads(monkeypatch)
    assert hash_of(path) == expected
    identity._known.clear()
    remember(path, VALUES.astype(np.float32))
    assert hash_of(path) == expected
    assert reads.paths == ["a.nii"]
