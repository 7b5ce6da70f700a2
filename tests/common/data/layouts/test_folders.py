"""Folder layouts: files of one case belong together, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from empty_files import make

from common.data.layouts.data_sets import find_cases
from common.errors import ConfigError, DataError


def test_folders_match_pairs_by_case(tmp_path: Path) -> None:
    make(tmp_path, "case10/mr.nii.gz", "case10/ct.nii", "case2/mr.nii", "case2/ct.nii.gz", ".cache/x", "notes.txt")
    make(tmp_path, "__MACOSX/x", "@eaDir/x", "lost+found/x", "$RECYCLE.BIN/x", "System Volume Information/x")
    items = find_cases(tmp_path, "folders")
    assert [(i["case"], i["patient"], i["image"], i["label"]) for i in items] == [
        ("case10", "case10", str(tmp_path / "case10/mr.nii.gz"), str(tmp_path / "case10/ct.nii")),
        ("case2", "case2", str(tmp_path / "case2/mr.nii"), str(tmp_path / "case2/ct.nii.gz")),
    ]
    assert all("mask" not in item for item in items)


def test_cases_that_lack_a_file_are_not_paired_with_others(tmp_path: Path) -> None:
    make(tmp_path, "a/mr.nii.gz", "b/mr.nii.gz", "b/ct.nii.gz", "c/ct.nii.gz")
    with pytest.raises(DataError, match=r"2 files are missing in .* \(a/ct.nii.gz, c/mr.nii.gz\): complete"):
        find_cases(tmp_path, "folders")


def test_channels_regions_and_inference(tmp_path: Path) -> None:
    make(tmp_path, "a/mtr.nii.gz", "a/fa.nii.gz", "a/lesion.nii.gz", "b/mtr.nii.gz", "b/fa.nii.gz", "b/nawm.nii")
    first, second = find_cases(tmp_path, "folders", source="mtr, fa", target=None)
    assert first["image"] == [str(tmp_path / "a/mtr.nii.gz"), str(tmp_path / "a/fa.nii.gz")]
    assert (set(first), set(second)) == ({"case", "patient", "image", "lesion"}, {"case", "patient", "image", "nawm"})
    with pytest.raises(
        DataError, match=r"\(a/pib.nii.gz, b/pib.nii.gz\), whose cases have fa.nii.gz, lesion.nii.gz, mtr.nii.gz"
    ):
        find_cases(tmp_path, "folders", source="mtr,fa", target="pib")
    with pytest.raises(DataError, match=r"2 files are missing in .* \(a/rd.nii.gz, b/rd.nii.gz\), whose cases have "):
        find_cases(tmp_path, "folders", source="mtr,fa,rd", target=None)
    (tmp_path / "b/fa.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 file is missing in .* \(b/fa.nii.gz\): complete"):
        find_cases(tmp_path, "folders", source="mtr,fa", target=None)


@pytest.mark.parametrize("name", ["mr", "ct", "mask"])
def test_a_link_to_content_that_was_not_fetched_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path, "a/mr.nii.gz", "a/ct.nii.gz", "b/mr.nii.gz", "b/ct.nii.gz")
    (tmp_path / f"b/{name}.nii.gz").unlink(missing_ok=True)
    (tmp_path / f"b/{name}.nii.gz").symlink_to("../.git/annex/objects/MD5E-s9--0.nii.gz")
    with pytest.raises(DataError, match=rf"b/{name}.nii.gz is a link to content that is not here: get its content"):
        find_cases(tmp_path, "folders")


def test_pictures_are_cases_and_outside_folders_of_cases_are_named(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png")
    with pytest.raises(DataError, match=r"has pictures outside folders of cases \(1.png, 2.png\): arrange"):
        find_cases(tmp_path, "folders")
    make(tmp_path, "a/source.png", "a/target.ome.tif", "b/source.png")
    with pytest.raises(DataError, match=r"1 file is missing in .* \(b/target.png\)"):
        find_cases(tmp_path, "folders", source="source", target="target")
    (first,) = find_cases(tmp_path, "folders", source="source", target="source")[:1]
    assert Path(first["image"]).name == "source.png"
    make(tmp_path, "b/target.jpg")
    found = find_cases(tmp_path, "folders", source="source", target="target")
    assert [Path(item["label"]).name for item in found] == ["target.ome.tif", "target.jpg"]


def test_long_lists_of_missing_files_are_cut_and_a_file_stored_twice_is_not_guessed(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}/t1.nii.gz" for number in range(8)))
    fault = r"8 files are .*\(0/mr.nii.gz, .*, 5/mr.nii.gz and 2 more\), whose cases have t1"
    with pytest.raises(DataError, match=fault):
        find_cases(tmp_path, "folders", target=None)
    make(tmp_path, "0/t1.nii")
    with pytest.raises(DataError, match="0: 't1' is there twice, .nii and .nii.gz: remove one"):
        find_cases(tmp_path, "folders", "t1", None)


def test_cases_may_lack_a_mask_of_the_default_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "a/mr.nii.gz", "a/ct.nii.gz", "b/mr.nii.gz", "b/ct.nii.gz")
    assert "mask" not in find_cases(tmp_path, "folders")[0]
    with pytest.raises(DataError, match="2 files are missing in .* .a/brain.nii.gz, b/brain.nii.gz"):
        find_cases(tmp_path, "folders", mask="brain")
    make(tmp_path, "b/mask.nii.gz")
    caplog.clear()
    assert ["mask" in item for item in find_cases(tmp_path, "folders")] == [False, True]
    assert caplog.messages == [f"{tmp_path.name}: 1 of 2 cases have no file 'mask': a"]
    assert "mask" not in find_cases(tmp_path, "folders", mask=None)[1]
    make(tmp_path, "a/mask.nii.gz")
    assert find_cases(tmp_path, "folders")[0]["mask"] == str(tmp_path / "a/mask.nii.gz")


def test_patients_from_names_and_from_a_table(tmp_path: Path) -> None:
    make(tmp_path, *(f"{case}/{name}.nii.gz" for case in ("s1_v1", "s1_v2", "s2") for name in ("mr", "ct")))

    def found(**options: str) -> list[str]:
        return [item["patient"] for item in find_cases(tmp_path, "folders", **options)]

    assert found() == ["s1_v1", "s1_v2", "s2"]
    assert found(patient_separator="_") == ["s1", "s1", "s2"]
    table = tmp_path / "patients.csv"
    table.write_text("patient,case\nP1,s1_v1\nP1,s2\nP2,s1_v2\nP9,elsewhere\n")
    assert found(patient_separator="_") == ["P1", "P2", "P1"]
    table.write_text("case,patient\ns1_v1,P1\ns2,\n")
    with pytest.raises(DataError, match="patients.csv has no patient for s1_v2, s2: add them"):
        found()
    table.write_text("case,patient\ns1_v1,'=1+1\ns1_v2,'=1+1\ns2,-7\n")  # as the project writes cells
    assert found() == ["=1+1", "=1+1", "-7"]
    table.write_text("id,subject\ns1_v1,P1\n")
    with pytest.raises(DataError, match=r"patients.csv has the columns \['id', 'subject'\], not case,patient"):
        found()
    rows = "case,patient\ns1_v1,Bö\ns1_v2,Bö\ns2,C\n"
    table.write_text(rows, encoding="utf-8-sig")
    assert found() == ["Bö", "Bö", "C"]
    for encoding in ("cp1252", "utf-16"):  # of spreadsheets
        table.write_text(rows, encoding=encoding)
        with pytest.raises(DataError, match=r"patients.csv is not text in UTF-8: save it as CSV in UTF-8"):
            found()


@pytest.mark.parametrize("root", ["Task1", "Task1/brain"])
def test_synthrad2023(root: str, tmp_path: Path) -> None:
    files = [f"{name}.nii.gz" for name in ("mr", "ct", "mask")]
    make(tmp_path, *(f"Task1/brain/1B{centre}001/{file}" for centre in "AC" for file in files))
    make(tmp_path, *(f"Task1/pelvis/1PA004/{file}" for file in files), "Task1/brain/overview/1BA001_train.png")
    items = find_cases(tmp_path / root, "synthrad2023")
    assert [item["case"] for item in items] == ["1BA001", "1BC001", "1PA004"][: 3 if root == "Task1" else 2]
    assert items[1]["mask"] == str(tmp_path / "Task1/brain/1BC001/mask.nii.gz")
    assert items[1]["patient"] == "1BC001"
    assert (items[1]["centre"], items[1]["body_part"]) == ("C", "brain")


def test_synthrad_ids_at_two_depths_are_refused_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [f"{name}.nii.gz" for name in ("mr", "ct")]
    make(tmp_path, *(f"{case}/{file}" for case in ("1BA001", "brain/1BA002") for file in files))
    assert [item["case"] for item in find_cases(tmp_path, "synthrad2023")] == ["1BA001", "1BA002"]
    assert "deeper" not in caplog.text
    make(tmp_path, *(f"Task1/brain/{case}/{file}" for case in ("1BA003", "1BA004") for file in files))
    assert [item["case"] for item in find_cases(tmp_path, "synthrad2023")] == ["1BA001", "1BA002"]
    left = "2 deeper cases are skipped: Task1/brain/1BA003, Task1/brain/1BA004; name their folder"
    assert left in caplog.text
    make(tmp_path, *(f"brain/1BA001/{file}" for file in files))
    with pytest.raises(DataError, match="case 1BA001 has two folders, (brain/)?1BA001 and (brain/)?1BA001: rem"):
        find_cases(tmp_path, "synthrad2023")


def test_synthrad2025_takes_mha_and_prefers_converted_files(tmp_path: Path) -> None:
    make(tmp_path, *(f"{case}/{name}.mha" for case in ("AB/1ABA001", "HN/1HNC010") for name in ("mr", "ct", "mask")))
    make(tmp_path, "TH/1THB002/mr.mha", "overviews/x.png", "HN/1HNC010/ct.nii.gz")
    with pytest.raises(DataError, match="1 file is missing in .* .1THB002/ct.mha"):
        find_cases(tmp_path, "synthrad2025")
    make(tmp_path, "TH/1THB002/ct.mha", "TH/1THB002/mask.mha")
    items = find_cases(tmp_path, "synthrad2025")
    assert [Path(item["label"]).name for item in items] == ["ct.mha", "ct.nii.gz", "ct.mha"]
    assert items[2]["image"] == str(tmp_path / "TH/1THB002/mr.mha")
    places = [(item["centre"], item["body_part"]) for item in items]
    assert places == [("A", "abdomen"), ("C", "head and neck"), ("B", "thorax")]


def test_roots_and_layouts_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--layout is 'dicom': choose folders, synthrad2023, synthrad2025, ixi, ldct or bids"
    ):
        find_cases(tmp_path, "dicom")
    with pytest.raises(DataError, match="no folder at .*nowhere: correct --dataset_dir"):
        find_cases(tmp_path / "nowhere", "folders")
    make(tmp_path, "patient_1/mr.nii.gz")
    with pytest.raises(DataError, match="no cases in .*, where the layout synthrad2023 has ROOT/brain/1BA001"):
        find_cases(tmp_path, "synthrad2023")
