"""BIDS: files by subject, session and suffix."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from empty_files import make

from common.data.layouts.data_sets import find_cases
from common.errors import DataError


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A subject with two sessions, one without, one that lacks a scan, and a derivative."""
    return make(
        tmp_path,
        "dataset_description.json",
        *(f"sub-01/ses-{n}/anat/sub-01_ses-{n}_{scan}.nii.gz" for n in (1, 2) for scan in ("acq-mprage_T1w", "T2w")),
        "sub-01/ses-1/anat/sub-01_ses-1_T2w.json",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_T2w.nii",
        "sub-02/sub-02_ct.nii.gz",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "derivatives/other/sub-02/anat/sub-02_desc-x_T1w.nii.gz",
    )


def test_cases_are_sessions_of_one_patient(raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        items = find_cases(raw, "bids", "T1w", "T2w")
    assert [(item["case"], item["patient"]) for item in items] == [
        ("sub-01_ses-1", "sub-01"),
        ("sub-01_ses-2", "sub-01"),
        ("sub-02", "sub-02"),
    ]
    assert items[0]["image"] == str(raw / "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_T1w.nii.gz")
    assert items[2]["label"] == str(raw / "sub-02/anat/sub-02_T2w.nii")
    assert "1 cases without all files are excluded: sub-03" in caplog.text


def test_channels_files_without_a_kind_and_inference(raw: Path) -> None:
    (item,) = find_cases(raw, "bids", "T1w, T2w", "ct")
    assert [Path(path).name for path in item["image"]] == ["sub-02_T1w.nii.gz", "sub-02_T2w.nii"]
    assert item["label"] == str(raw / "sub-02/sub-02_ct.nii.gz")
    assert [item["case"] for item in find_cases(raw, "bids", "T1w", None)][-1] == "sub-03"


def test_the_first_run_of_a_case_without_runs_is_its_only_image(tmp_path: Path) -> None:
    """BIDS numbers the runs of an image where there are several; other numbers are not those of one alone."""
    for name in ("01/anat/sub-01_run-1", "01/anat/sub-01_run-2", "02/anat/sub-02", "03/anat/sub-03_run-2"):
        make(tmp_path, f"sub-{name}_T1w.nii.gz")
    with pytest.raises(DataError, match=r"sub-01 has two files T1w, .*: name one .*, such as run-1_T1w"):
        find_cases(tmp_path, "bids", "T1w", None)
    found = [Path(item["image"]).name for item in find_cases(tmp_path, "bids", "run-1_T1w", None)]
    assert found == ["sub-01_run-1_T1w.nii.gz", "sub-02_T1w.nii.gz"]
    found = [Path(item["image"]).name for item in find_cases(tmp_path, "bids", "run-2_T1w", None)]
    assert found == ["sub-01_run-2_T1w.nii.gz", "sub-03_run-2_T1w.nii.gz"]


def test_several_files_of_a_suffix_need_their_entities(raw: Path) -> None:
    make(raw, "sub-01/ses-1/anat/sub-01_ses-1_acq-space_T1w.nii.gz")
    with pytest.raises(DataError, match=r"sub-01_ses-1 has two files T1w, .*acq-mprage.* and .*acq-space"):
        find_cases(raw, "bids", "T1w", "T2w")
    (one,) = find_cases(raw, "bids", "acq-space_T1w", "T2w")
    assert one["case"] == "sub-01_ses-1"
    (raw / "sub-01/ses-1/anat/sub-01_ses-1_acq-space_T1w.nii.gz").unlink()
    make(raw, "sub-02/anat/sub-02_run-2_T1w.nii.gz")
    assert find_cases(raw, "bids", "T1w", "ct")[0]["image"] == str(raw / "sub-02/anat/sub-02_T1w.nii.gz")
    make(raw, *(f"sub-02/anat/sub-02_part-{part}_PDw.nii.gz" for part in ("mag", "phase")))
    (item,) = find_cases(raw, "bids", "PDw", "T2w")
    assert Path(item["image"]).name == "sub-02_part-mag_PDw.nii.gz", "the magnitude of a complex image is plain"
    make(raw, *(f"sub-03/anat/sub-03_run-{run}_T2w.nii.gz" for run in (1, 2)))
    with pytest.raises(DataError, match="name one with its entities, such as run-1_T2w$"):
        find_cases(raw, "bids", "T1w", "T2w")


@pytest.mark.parametrize("entity", ["ce-gadolinium", "part-phase", "part-real", "inv-1", "chunk-2", "acq-a_ce-gd"])
def test_what_its_suffix_alone_does_not_name_is_no_plain_image(
    raw: Path, entity: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(raw, f"sub-04/anat/sub-04_{entity}_T1w.nii.gz", "sub-04/anat/sub-04_T2w.nii.gz")
    items = find_cases(raw, "bids", "T1w", "T2w")
    assert [item["case"] for item in items] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert f"sub-04 (sub-04_{entity}_T1w.nii.gz is no plain T1w: name its entities)" in caplog.text
    (item,) = find_cases(raw, "bids", f"{entity}_T1w", "T2w")
    assert item["image"] == str(raw / f"sub-04/anat/sub-04_{entity}_T1w.nii.gz")
    make(raw, "sub-04/anat/sub-04_acq-mprage_T1w.nii.gz")
    assert Path(find_cases(raw, "bids", "T1w", "T2w")[-1]["image"]).name == "sub-04_acq-mprage_T1w.nii.gz"


@pytest.mark.parametrize("file", ["T1w", "T2w", "lesion"])
def test_a_link_to_content_that_was_not_fetched_is_named(
    raw: Path, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(raw, "sub-04/anat/sub-04_T1w.nii.gz", "sub-04/anat/sub-04_T2w.nii.gz")
    link = raw / f"sub-04/anat/sub-04_{file}.nii.gz"
    link.unlink(missing_ok=True)
    link.symlink_to("../../.git/annex/objects/MD5E-s4711--0.nii.gz")
    assert "sub-04" not in [item["case"] for item in find_cases(raw, "bids", "T1w", "T2w")]
    assert f"sub-04 ({link.name} is a link to content that is not here: get its content, as by git annex" in caplog.text


def test_another_folder_is_named(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="no subject in .* has all of FLAIR, T2w, files such as ROOT/sub-01/anat/sub-01_"
    ):
        find_cases(raw, "bids", "FLAIR", "T2w")
    with pytest.raises(DataError, match=r"no folder sub-... in .*sub-02: correct --dataset_dir"):
        find_cases(tmp_path / "sub-02", "bids", "T1w", "T2w")
