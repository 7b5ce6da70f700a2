"""Uploads: what is stored under which name, and what is refused before and after it is unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from common.errors import DataError
from medical_image_synthesis.app.uploads import UploadedFile, stored

MOST = 1000


def upload(name: str, content: bytes = b"voxels") -> UploadedFile:
    return UploadedFile(name, io.BytesIO(content))


def zip_of(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("|", "/"), content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *(("Doe^Jane.nii.gz", "scan.nii.gz"), ("A B.NII", "scan.nii"), ("x/../y.nrrd", "scan.nrrd")),
        *(("v.mha", "scan.mha"), ("T1.MGZ", "scan.mgz")),
    ],
)
def test_a_volume_is_stored_under_a_neutral_name(tmp_path: Path, name: str, kept: str) -> None:
    source = stored([upload(name)], tmp_path, MOST)
    assert source == tmp_path / kept
    assert source.read_bytes() == b"voxels"


def test_the_files_of_a_series_are_numbered(tmp_path: Path) -> None:
    files = [upload("Doe/IM1"), upload("Doe/.DS_Store"), upload("Doe/IM2.dcm", b"second")]
    source = stored(files, tmp_path, MOST)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == {
        "00001": b"voxels",
        "00002.dcm": b"second",
    }
    assert stat.S_IMODE(source.stat().st_mode) == 0o700


def test_members_of_a_zip_stay_inside_whatever_they_are_called(tmp_path: Path) -> None:
    content = zip_of(**{"..|..|etc|passwd": b"one", "|root": b"two", "__MACOSX|x": b"no", "a|.hidden": b"no"})
    (tmp_path / "case").mkdir()
    source = stored([upload("series.ZIP", content)], tmp_path / "case", MOST)
    assert sorted(path.read_bytes() for path in source.iterdir()) == [b"one", b"two"]
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_zip_bomb_is_left_when_it_exceeds_the_limit(tmp_path: Path) -> None:
    bomb = zip_of(one=b"\0" * 900, two=b"\0" * 900)
    assert len(bomb) < 400
    with pytest.raises(DataError, match="larger than the server takes: upload one series, or raise --max_gb"):
        stored([upload("bomb.zip", bomb)], tmp_path, MOST)
    assert sum(path.stat().st_size for path in (tmp_path / "scan").iterdir()) <= MOST


def test_a_size_in_the_header_of_a_zip_is_not_believed(tmp_path: Path) -> None:
    bomb = bytearray(zip_of(one=b"\0" * 5000))
    place = bomb.rindex(b"PK\x01\x02") + 24  # uncompressed size, in the directory
    bomb[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(DataError):
        stored([upload("bomb.zip", bytes(bomb))], tmp_path, MOST)
    assert sum(path.stat().st_size for path in (tmp_path / "scan").iterdir()) <= MOST


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_members_python_unpacks_at_once_is_refused(tmp_path: Path, method: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("one", bytes(900))
    with pytest.raises(DataError, match="the zip is not packed by deflate: make it again"):
        stored([upload("bomb.zip", made.getvalue())], tmp_path, MOST)
    assert list((tmp_path / "scan").iterdir()) == []


def test_a_damaged_zip_is_refused_without_the_names_of_its_members(tmp_path: Path) -> None:
    damaged = bytearray(zip_of(**{"Doe^Jane": bytes(range(256)) * 3}))
    place = damaged.rindex(b"PK\x01\x02") + 16  # checksum, in the directory
    damaged[place : place + 4] = bytes(4)
    with pytest.raises(DataError, match="^the zip cannot be unpacked: make it again$"):
        stored([upload("z.zip", bytes(damaged))], tmp_path, MOST)


def test_links_and_passwords_in_a_zip_are_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="has links"):
        stored([upload("z.zip", made.getvalue())], tmp_path, MOST)
    locked = bytearray(zip_of(one=b"1"))
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "scan").rmdir()
    with pytest.raises(DataError, match="has a password"):
        stored([upload("z.zip", bytes(locked))], tmp_path, MOST)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "no file was uploaded: upload a volume"),
        ([upload("head.mhd")], "a .mhd file has its voxels in another file: save it as .mha"),
        ([upload("a.nii"), upload("b.nii")], "2 files that are no DICOM series: upload one scan at a time"),
        ([upload("a.zip", b"no zip")], "the zip cannot be unpacked"),
        ([upload("a.zip", zip_of())], "the zip is empty"),
        ([upload("a.zip", zip_of(b=b"1")[:-30])], "the zip cannot be unpacked"),
        ([upload("a.zip", zip_of(**{"t1.nii": b"1"}))], "the zip has files that are no DICOM"),
        ([upload("T1", b"a volume")], r"no DICOM, and its name does not end as .* zip: upload a volume \(.nii,"),
        ([upload("a.nii", b"1" * 1001)], "the upload is larger than the server takes"),
    ],
)
def test_what_is_no_scan_is_refused_in_one_line(tmp_path: Path, files: list[UploadedFile], said: str) -> None:
    with pytest.raises(DataError, match=said):
        stored(files, tmp_path, MOST)
