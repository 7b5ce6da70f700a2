"""Linear phantoms as DICOM series, v = 100 + 2 L + 3 P + 5 S (mm): every flip, swap or wrong spacing is a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from common.errors import VolumeError
from common.io.dicom.reading.series import SeriesOptions
from common.io.dicom.reading.volume import load_series

CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
_TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
OBLIQUE = tuple(float(cosine) for cosine in (*_TURN[:, 0], *_TURN[:, 1]))
"""Two columns of a rotation about no axis in particular, exact in two decimals."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PATIENT = {
    "PatientName": "Secret^Patient",
    "PatientID": "SECRET-4711",
    "PatientBirthDate": "19010203",
    "StudyDate": "20240506",
    "StudyTime": "070809",
    "AccessionNumber": "SECRET-ACC",
    "StudyID": "SECRET-STUDY",
}
"""What must never be seen in a log line or an error."""


def linear(points: np.ndarray) -> np.ndarray:
    """The phantom's value at points (..., 3) in mm, axes LPS."""
    return 100 + points @ np.array([2.0, 3.0, 5.0])


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a phantom lie: shape (columns, rows, slices); spacing in mm of columns, rows and slices.

    ``step`` is from one slice to the next in LPS mm; by default ``spacing[2]`` along the normal.
    """

    shape: tuple[int, int, int] = (6, 5, 4)
    spacing: tuple[float, float, float] = (0.8, 0.5, 2.5)
    orientation: Sequence[float] = AXIAL
    origin: tuple[float, float, float] = (-20.0, 30.0, 100.0)
    step: tuple[float, float, float] | None = None

    @property
    def lps(self) -> np.ndarray:
        """The affine (4, 4) from column, row and slice to LPS mm."""
        across, down = np.reshape(self.orientation, (2, 3))
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = across * self.spacing[0], down * self.spacing[1]
        affine[:3, 2] = np.cross(across, down) * self.spacing[2] if self.step is None else self.step
        affine[:3, 3] = self.origin
        return affine

    @property
    def affine(self) -> np.ndarray:
        """The affine (4, 4) to RAS mm."""
        return LPS_TO_RAS @ self.lps

    def values(self) -> np.ndarray:
        """The phantom (columns, rows, slices)."""
        return values_on(self.affine, self.shape)

    def position(self, number: int) -> np.ndarray:
        """ImagePositionPatient of a slice."""
        return self.lps[:3, 3] + number * self.lps[:3, 2]


def values_on(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The phantom on the grid of an affine (4, 4) to RAS mm."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    lps = LPS_TO_RAS @ affine
    return linear(indices @ lps[:3, :3].T + lps[:3, 3])


def write_series(
    folder: Path,
    grid: Grid | None = None,
    modality: str = "CT",
    slope: float = 0.1,
    intercept: float = -1000.0,
    change: Callable[[Any, int], None] = lambda header, number: None,
    series: str | None = None,
    prefix: str = "",
    values: np.ndarray | None = None,
) -> str:
    """Write a classic series, one file a slice, named against their order; returns its SeriesInstanceUID.

    Args:
        folder: created where absent.
        grid: of the voxels.
        modality: CT, MR or PT.
        slope: of the stored values; the phantom is rounded to multiples of it.
        intercept: of the stored values.
        change: alters the header of a slice (with its pixels) before it is written.
        series: a SeriesInstanceUID; a new one by default.
        prefix: of the file names.
        values: (columns, rows, slices) instead of the phantom's.
    """
    grid = grid or Grid()
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    values = grid.values() if values is None else values
    study, frame = generate_uid(entropy_srcs=[series, "study"]), generate_uid(entropy_srcs=[series, "frame"])
    for number in range(grid.shape[2]):
        header = _header(CLASSES[modality], modality, series, study, frame)
        header.InstanceNumber = number + 1
        header.PixelSpacing = [_text(grid.spacing[1]), _text(grid.spacing[0])]  # between rows first
        header.ImageOrientationPatient = [_text(cosine) for cosine in grid.orientation]
        header.ImagePositionPatient = [_text(place) for place in grid.position(number)]
        header.SliceThickness = _text(grid.spacing[2])
        header.RescaleSlope, header.RescaleIntercept = _text(slope), _text(intercept)
        _set_pixels(header, values[:, :, number], slope, intercept)
        change(header, number)
        header.save_as(folder / f"{prefix}{grid.shape[2] - number:03}.dcm", enforce_file_format=True)
    return series


def write_enhanced(
    folder: Path,
    grid: Grid | None = None,
    modality: str = "MR",
    slopes: Sequence[float] | None = None,
    intercept: float = -1000.0,
    order: Sequence[int] | None = None,
    change: Callable[[Any], None] = lambda header: None,
    series: str | None = None,
) -> str:
    """Write an enhanced multi-frame object of MR or CT, its frames in ``order``; returns its SeriesInstanceUID.

    ``slopes`` is of each slice (0.1 each by default), told in its frame's functional groups.
    """
    grid = grid or Grid()
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    study, frame = generate_uid(entropy_srcs=[series, "study"]), generate_uid(entropy_srcs=[series, "frame"])
    slopes = slopes or [0.1] * grid.shape[2]
    header = _header(ENHANCED[modality], modality, series, study, frame)
    header.NumberOfFrames = grid.shape[2]
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=[_text(grid.spacing[1]), _text(grid.spacing[0])], SliceThickness=_text(grid.spacing[2])
    )
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[_text(cosine) for cosine in grid.orientation])
    header.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames, pixels = [], []
    for number in order or range(grid.shape[2]):
        groups = Dataset()
        groups.PlanePositionSequence = _item(ImagePositionPatient=[_text(place) for place in grid.position(number)])
        groups.PixelValueTransformationSequence = _item(
            RescaleSlope=_text(slopes[number]), RescaleIntercept=_text(intercept), RescaleType="US"
        )
        frames.append(groups)
        _set_pixels(header, grid.values()[:, :, number], slopes[number], intercept)
        pixels.append(header.PixelData)
    header.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    header.PixelData = b"".join(pixels)
    change(header)
    header.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return series


def write_presentation_state(folder: Path, series: str) -> None:
    """Write an object of a series that holds no image."""
    header = _header("1.2.840.10008.5.1.4.1.1.11.1", "PR", series, generate_uid(), generate_uid())
    header.save_as(folder / "presentation.dcm", enforce_file_format=True)


def changing(slices: Sequence[int] | None = None, **fields: Any) -> Callable[[Any, int], None]:
    """A change of elements of some slices (by default all) for :func:`write_series`; None removes an element."""

    def change(header: Any, number: int) -> None:
        for name, value in fields.items() if slices is None or number in slices else ():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)

    return change


def refused(folder: Path, match: str, **options: Any) -> None:
    """The series is refused so, without a word of its patient."""
    with pytest.raises(VolumeError, match=match) as caught:
        load_series(folder, "case7", SeriesOptions(**options))
    assert not [secret for secret in PATIENT.values() if secret in str(caught.value)]


def _header(sop_class: str, modality: str, series: str, study: str, frame: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
    header.Modality, header.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SpecificCharacterSet, header.Manufacturer, header.SeriesNumber = "ISO_IR 192", "Phantom", 3
    header.PatientPosition, header.BodyPartExamined = "HFS", "HEAD"
    for name, value in PATIENT.items():
        setattr(header, name, value)
    return header


def _set_pixels(header: Any, plane: np.ndarray, slope: float, intercept: float) -> None:
    """Store a plane (columns, rows) as unsigned 16-bit."""
    stored = np.rint((plane.T - intercept) / slope)
    assert stored.min() >= 0, "the intercept is too high for unsigned storage"
    assert stored.max() < 2**16, "the slope is too small"
    header.Rows, header.Columns = stored.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
    header.PixelData = stored.astype("<u2").tobytes()
    header["PixelData"].VR = "OW"


def _item(**values: Any) -> DicomSequence:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return DicomSequence([item])


def _text(number: float) -> str:
    """A DS, at most 16 characters."""
    return f"{number:.10g}"
