"""The IXI layout: pairs by subject, what lacks a partner, and names of other modalities."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from empty_files import make

from common.data.layouts.data_sets import find_cases
from common.errors import DataError


@pytest.fixture
def ixi(tmp_path: Path) -> Path:
    """Two whole subjects, one with scan numbers of its own, and two without a partner."""
    pd = ("IXI012-HH-1211-PD.nii.gz", "IXI002-Guys-0828-PD.nii.gz", "IXI035-IOP-0873-PD.nii.gz", "README.txt")
    t2 = ("IXI002-Guys-0828-T2.nii.gz", "IXI012-HH-1212-T2.nii", "IXI567-HH-2536-T2.nii.gz")
    return make(tmp_path, *(f"IXI-PD/{name}" for name in pd), *(f"IXI-T2/{name}" for name in t2))


def test_pairs_by_subject_and_the_rest_is_named(ixi: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        items = find_cases(ixi, "ixi", "PD", "T2")
    assert items == [
        {
            **dict.fromkeys(("case", "patient"), case),
            "image": str(ixi / f"IXI-PD/{case}-{image}"),
            "label": str(ixi / f"IXI-T2/{case}-{label}"),
            "body_part": "brain",
            "centre": centre,
        }
        for case, centre, image, label in (
            ("IXI002", "Guys", "Guys-0828-PD.nii.gz", "Guys-0828-T2.nii.gz"),
            ("IXI012", "HH", "HH-1211-PD.nii.gz", "HH-1212-T2.nii"),
        )
    ]
    assert "2 subjects without all files are excluded: IXI035 (no T2), IXI567 (no PD)" in caplog.text


def test_other_modalities_masks_and_inference(ixi: Path) -> None:
    make(ixi, "IXI-T1/IXI012-HH-1211-T1.nii.gz", "IXI-mask/IXI012-HH-1211-mask.nii.gz")
    (item,) = find_cases(ixi, "ixi", "PD,T1", "T2")
    assert [Path(path).name for path in item["image"]] == ["IXI012-HH-1211-PD.nii.gz", "IXI012-HH-1211-T1.nii.gz"]
    assert item["mask"] == str(ixi / "IXI-mask/IXI012-HH-1211-mask.nii.gz")
    without = find_cases(ixi, "ixi", "PD", None, None)
    assert [(item["case"], "label" in item, "mask" in item) for item in without] == [
        ("IXI002", False, False),
        ("IXI012", False, False),
        ("IXI035", False, False),
    ]


def test_a_modality_that_is_not_there_and_two_scans_of_a_subject(ixi: Path) -> None:
    with pytest.raises(DataError, match="no folder IXI-mr in .*, which has IXI-PD, IXI-T2: name existing modalities"):
        find_cases(ixi, "ixi")
    with pytest.raises(DataError, match="no folder IXI-brain in "):
        find_cases(ixi, "ixi", "PD", "T2", "brain")
    make(ixi, "IXI-PD/IXI002-Guys-0829-PD.nii.gz")
    with pytest.raises(DataError, match="IXI002 has two files in IXI-PD, IXI002-Guys-0828.* and .*0829-PD.nii"):
        find_cases(ixi, "ixi", "PD", "T2")


def test_no_pair_at_all(tmp_path: Path) -> None:
    make(tmp_path, "IXI-PD/IXI002-Guys-0828-PD.nii.gz", "IXI-T2/IXI012-HH-1211-T2.nii.gz")
    with pytest.raises(
        DataError, match=r"has all of PD, T2, .*; excluded: IXI002 \(no T2\), IXI012 \(no PD\): correct"
    ):
        find_cases(tmp_path, "ixi", "PD", "T2")
    make(tmp_path, "empty/IXI-PD/x", "empty/IXI-T2/x")
    with pytest.raises(DataError, match="no subject .*ROOT/IXI-PD/IXI002-Guys-0828-PD.nii.gz: correct"):
        find_cases(tmp_path / "empty", "ixi", "PD", "T2")
