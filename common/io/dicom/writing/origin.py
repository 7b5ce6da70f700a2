"""Where a derived series comes from: patient, study, frame of reference and the slices that it refers to."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from common.checkpoints import sha256
from common.errors import OutputError
from common.io.dicom.validation import without_validation

WHOLE_GROUPS = (0x0010, 0x0012)
"""Patient, and clinical trial with de-identification: every item goes over, but for what the series alone has."""
OF_THE_SERIES = ("ClinicalTrialSeriesID", "ClinicalTrialSeriesDescription", "IssuerOfClinicalTrialSeriesID")
COPIED = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "PhysiciansOfRecord", "ProcedureCodeSequence"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality"),
    *("BurnedInAnnotation", "RecognizableVisualFeatures", "LongitudinalTemporalInformationModified"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""Items outside those groups. All else stays behind: private tags, overlays, icon, window, padding, minimum and
maximum, dose, contrast agent, radiopharmaceutical, and how and with which machine the source was acquired."""
EMPTY_WHERE_UNKNOWN = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "PatientPosition"),
)
"""Items that a series must have, with or without a value."""


@dataclass(frozen=True)
class SourceSlice:
    """What a derived slice says of the one it comes from; ``frame`` counts from 1 in an object of several frames.

    ``position`` is its first pixel in LPS mm, ``normal`` its unit normal.
    """

    class_uid: str
    instance_uid: str
    frame: int | None
    position: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True)
class Origin:
    """A source as a derived series sees it.

    ``items`` are copied into every slice; ``uid`` names the source; ``slices`` are empty for a source outside DICOM.
    """

    items: Dataset
    uid: str
    series_number: int
    slices: tuple[SourceSlice, ...]


@without_validation
def from_series(headers: Sequence[Dataset], case: str) -> Origin:
    """The origin that a DICOM series is.

    Args:
        headers: one for each slice, without pixels.
        case: for messages.

    Raises:
        OutputError: for an item that cannot be read, and so not be taken over.
    """
    with warnings.catch_warnings():  # pydicom's remarks on odd values quote them, and these are a patient's
        warnings.simplefilter("ignore")
        try:
            items = _copied(headers[0])
        except Exception as error:  # whatever pydicom's many converters raise for damaged bytes
            rule, remedy = "has readable patient and study items", "export the series again"
            name = f"{case}: source series"
            raise OutputError(name, rule, type(error).__name__, remedy) from None  # its text may quote a value
        uid = str(headers[0].SeriesInstanceUID)
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
            if not items.get(keyword):
                setattr(items, keyword, generate_uid(entropy_srcs=[keyword, uid]))
        return Origin(items, uid, _series_number(headers[0]), tuple(_slice(header) for header in headers))


def from_nifti(path: Path) -> Origin:
    """An origin without patient: a study and a frame of reference that repeat for the same file, and say so.

    Args:
        path: of the source.
    """
    name = sha256(path)
    items = Dataset()
    items.PatientName = "SYNTHETIC^NO PATIENT"
    items.PatientID = f"SYNTHETIC-NO-PATIENT-{name[:16]}"
    items.StudyInstanceUID = generate_uid(entropy_srcs=["StudyInstanceUID", name])
    items.FrameOfReferenceUID = generate_uid(entropy_srcs=["FrameOfReferenceUID", name])
    items.StudyDescription = "No patient: synthesised from a file without DICOM header"
    _fill(items)
    return Origin(items, name, 0, ())


def _copied(header: Dataset) -> Dataset:
    left = {tag_for_keyword(keyword) for keyword in OF_THE_SERIES}
    wanted = {tag_for_keyword(keyword) for keyword in (*COPIED, "SpecificCharacterSet")}
    items = Dataset()
    for tag in list(header.keys()):
        if tag in wanted or (tag.group in WHOLE_GROUPS and tag not in left):
            items[tag] = copy.deepcopy(header[tag])
    items.decode()  # names and sequences keep the source's encoding otherwise
    _fill(items)
    return items


def _fill(items: Dataset) -> None:
    for keyword in EMPTY_WHERE_UNKNOWN:
        if keyword not in items:
            setattr(items, keyword, "")
    if items.get("BurnedInAnnotation") != "YES":
        items.BurnedInAnnotation = "NO"
    says_how = items.get("DeidentificationMethod") or items.get("DeidentificationMethodCodeSequence")
    if items.get("PatientIdentityRemoved") == "YES" and not says_how:
        items.DeidentificationMethod = "Not stated by the source"  # must have a value


def _series_number(header: Dataset) -> int:
    try:
        return int(header.get("SeriesNumber") or 0)
    except (TypeError, ValueError, OverflowError):  # no number at all is none of a derived series' concern
        return 0


def _slice(header: Dataset) -> SourceSlice:
    across, down = np.reshape(np.asarray(header.ImageOrientationPatient, float), (2, 3))
    position = np.asarray(header.ImagePositionPatient, float)
    frame = header.get("ReferencedFrameNumber")
    return SourceSlice(
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        None if frame is None else int(frame),
        position,
        np.cross(across, down),
    )
