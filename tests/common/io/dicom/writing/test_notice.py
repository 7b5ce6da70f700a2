"""A page that says why there is no volume: on it is always what it is, whatever it has to say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from common.io.dicom.writing.derived import write_slices
from common.io.dicom.writing.notice import LINE, LINES, NO_IMAGE, notice


def page(*reasons: str, **items: Any) -> Dataset:
    header = Dataset()
    header.SeriesInstanceUID = "1.2.840.99.1.2.3"
    for name, value in items.items():
        setattr(header, name, value)
    return notice(header, "No synthetic series: refused", reasons, "mr2ct 1.2.3", datetime(2024, 1, 2))


def rows(made: Dataset) -> np.ndarray:
    """Whether a row of the image has letters."""
    return np.asarray(np.frombuffer(made.PixelData, np.uint8).reshape(made.Rows, made.Columns).any(axis=1))


def test_a_long_reason_leaves_room_for_what_the_page_is() -> None:
    fits, long = page(" ".join(["word"] * (LINE // 5 * LINES))), page("word " * 5000)
    assert not rows(long)[-20:].any()
    assert rows(fits).nonzero()[0].max() == rows(long).nonzero()[0].max()  # both end with the same paragraphs
    assert len(long.ImageComments) == 10_240
    assert long.ImageComments.startswith(f"{NO_IMAGE}\r\nword word")


@pytest.mark.parametrize(
    "items", [{}, {"PatientName": "Dö^é", "SpecificCharacterSet": "ISO_IR 100"}, {"SeriesNumber": None}]
)
def test_a_header_that_says_little_is_enough(tmp_path: Path, items: dict[str, Any]) -> None:
    write_slices([page("the head is cut, 漢字", **items)], tmp_path)
    (path,) = tmp_path.iterdir()
    made = pydicom.dcmread(path)
    assert (made.SeriesNumber, made.PatientName) == (9000, items.get("PatientName", ""))
    assert made.StudyInstanceUID
    assert made.SeriesInstanceUID != "1.2.840.99.1.2.3"
