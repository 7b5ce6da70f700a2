"""LDCT-and-Projection-data: series by patient, study and description, as the archive names them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from empty_files import make

from common.data.layouts.data_sets import DEFAULT_NAMES, find_cases
from common.errors import DataError

NAMES = DEFAULT_NAMES["ldct"]
LOW = "12-23-2021-NA-NA-31304/1.000000-Low Dose Images-20326"
FULL = "12-23-2021-NA-NA-31304/1.000000-Full Dose Images-29696"


def make_series(root: Path, *folders: str) -> Path:
    return make(root, *(f"{folder}/1-001.dcm" for folder in folders))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two patients with both doses, one of them without folders of studies, and one with full dose alone."""
    return make_series(
        tmp_path / "LDCT-and-Projection-data",
        *(f"L299/{series}" for series in (LOW, FULL)),
        "L299/08-23-2018-NA-NA-11492/1.000000-Low dose projections-22295",
        "C296/1.000000-Low dose images-11387",
        "C296/1.000000-Full dose images-05724",
        "N012/12-23-2021-NA-NA-40816/1.000000-Full Dose Images-73627",
    )


@pytest.mark.parametrize("inside", [True, False])
def test_pairs_by_patient_and_the_rest_is_named(
    collection: Path, inside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        chest, abdomen = find_cases(collection if inside else collection.parent, "ldct", *NAMES)
    assert abdomen == {
        "case": "L299",
        "patient": "L299",
        "image": str(collection / "L299" / LOW),
        "label": str(collection / "L299" / FULL),
        "body_part": "abdomen",
    }
    assert (chest["case"], chest["body_part"]) == ("C296", "thorax")
    assert chest["image"] == str(collection / "C296/1.000000-Low dose images-11387")
    assert "1 patients without all series are excluded: N012" in caplog.text


def test_full_dose_alone_is_for_a_simulation(collection: Path) -> None:
    items = find_cases(collection, "ldct", "Full Dose Images", None)
    assert [(item["case"], item["body_part"]) for item in items] == [
        ("C296", "thorax"),
        ("L299", "abdomen"),
        ("N012", "head"),
    ]


def test_what_is_missing_or_there_twice_is_refused(collection: Path, tmp_path: Path) -> None:
    make_series(collection, "L299/12-23-2021-NA-NA-31304/1.000000-Low Dose Images-99999")
    with pytest.raises(DataError, match="L299 has two series Low Dose Images, .*20326 and .*99999: remove one"):
        find_cases(collection, "ldct", *NAMES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no patient in .* has all of Low Dose Images, Full Dose Images, series such"):
        find_cases(tmp_path / "empty", "ldct", *NAMES)
