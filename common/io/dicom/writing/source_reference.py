"""Source of a derived series: copied patient and study items, frame of reference, referenced slices."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from monai.utils import ensure_tuple
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pydicom.valuerep import format_number_as_ds

from ....errors import OutputError, some
from ....weights.checkpoints import sha256
from ..validation import without_validation

logger = logging.getLogger(__name__)
TRIAL = 0x0012
"""Group of clinical trial and de-identification: all items are copied except ``NOT_OF_TRIALS``."""
NOT_OF_TRIALS = (
    *("ClinicalTrialSeriesID", "ClinicalTrialSeriesDescription", "IssuerOfClinicalTrialSeriesID"),
    "ClinicalTrialTimePointDescription",
)
COPIED = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientAge", "PatientSize", "PatientWeight", "PatientSpeciesDescription", "PatientSpeciesCodeSequence"),
    *("PatientBreedDescription", "PatientBreedCodeSequence", "BreedRegistrationSequence"),
    *("ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality"),
    *("BurnedInAnnotation", "RecognizableVisualFeatures", "LongitudinalTemporalInformationModified"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""Copied items of other groups: those that identify patient and study, animals too, and what concerns the image. Not
copied: free text (StudyDescription, PatientComments, history), private tags, overlays, icon, window, padding, minimum
and maximum, dose, contrast agent, radiopharmaceutical, acquisition parameters other than ``OF_SCAN``, equipment."""
OF_SCAN = ("KVP", "ConvolutionKernel")
"""Items on which HU and noise of a CT depend, copied where the synthetic one is of the same scan."""
EMPTY_WHERE_UNKNOWN = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "PatientPosition"),
)
"""Items that every series must have, possibly empty (type 2)."""

SHORT = 16
"""Maximum length of a short string (VR SH)."""
UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
"""In place of bytes that are no letters of the character set that a header names."""


@dataclass(frozen=True)
class SourceSlice:
    """Reference to a source slice, of the series ``series_uid``; ``frame`` counts from 1 in a multi-frame object.

    ``position`` is the first pixel in LPS mm, ``normal`` the unit normal.
    """

    class_uid: str
    instance_uid: str
    frame: int | None
    position: np.ndarray
    normal: np.ndarray
    series_uid: str


@dataclass(frozen=True)
class SourceReference:
    """The source of a derived series.

    ``items`` are copied into every slice; ``uid`` identifies the source; ``slices`` is empty for other than DICOM;
    ``scan`` has those of ``OF_SCAN`` that are the same in all slices of a CT.
    """

    items: Dataset
    uid: str
    series_number: int
    slices: tuple[SourceSlice, ...]
    scan: Dataset = field(default_factory=Dataset)


@without_validation
def patient_and_study(header: Dataset, case: str) -> Dataset:
    """The items of a slice that identify patient, study and frame of reference; UIDs that are missing are made.

    Args:
        header: without pixels.
        case: for messages.

    Raises:
        OutputError: for an item that cannot be decoded and copied.
    """
    try:
        items = _copied(header)
    except Exception as error:  # pydicom's converters raise many types for damaged bytes
        reason = type(error).__name__  # its text may quote a value
        fault = f"{case}: cannot read the patient and study items of the source series ({reason})"
        raise OutputError(fault, "export the series again") from None
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not items.get(keyword):
            setattr(items, keyword, generate_uid(entropy_srcs=[keyword, str(header.SeriesInstanceUID)]))
    if lost := [item.keyword for item in items if UNDECODABLE in str(item.value)]:
        fault = f"{case}: letters of {some(lost)} are outside the character set of the header, and lost in DICOM"
        logger.warning(f"{fault}: correct SpecificCharacterSet of the source")
    return items


@without_validation
def reference_of_series(headers: Sequence[Dataset], case: str) -> SourceReference:
    """The reference to a DICOM series.

    Args:
        headers: one for each slice, without pixels.
        case: for messages.

    Raises:
        OutputError: for an item that cannot be decoded and copied.
    """
    items = patient_and_study(headers[0], case)
    slices = tuple(_slice(header) for header in headers)
    uid = str(headers[0].SeriesInstanceUID)
    return SourceReference(items, uid, series_number(headers[0]), slices, _scan(headers))


def reference_of_file(path: Path) -> SourceReference:
    """The reference to a file without DICOM header: no patient, and UIDs derived from the content of the file.

    Args:
        path: of the source, such as a NIfTI file.
    """
    name = sha256(path)
    items = Dataset()
    items.PatientName = "SYNTHETIC^NO PATIENT"
    items.PatientID = f"SYNTHETIC-NO-PATIENT-{name[:16]}"
    items.StudyInstanceUID = generate_uid(entropy_srcs=["StudyInstanceUID", name])
    items.FrameOfReferenceUID = generate_uid(entropy_srcs=["FrameOfReferenceUID", name])
    items.StudyDescription = "No patient: synthesised from a file without DICOM header"
    _fill(items)
    return SourceReference(items, name, 0, ())


def _copied(header: Dataset) -> Dataset:
    left = {tag_for_keyword(keyword) for keyword in NOT_OF_TRIALS}
    wanted = {tag_for_keyword(keyword) for keyword in (*COPIED, "SpecificCharacterSet")}
    items = Dataset()
    for tag in list(header.keys()):
        if tag in wanted or (tag.group == TRIAL and tag not in left):
            items[tag] = copy.deepcopy(header[tag])
    items.decode()  # otherwise names and sequences keep the encoding of the source
    _fill(items)
    return items


def _fill(items: Dataset) -> None:
    for keyword in EMPTY_WHERE_UNKNOWN:
        if keyword not in items:
            setattr(items, keyword, "")
    if items.get("BurnedInAnnotation") != "YES":
        items.BurnedInAnnotation = "NO"
    method = items.get("DeidentificationMethod") or items.get("DeidentificationMethodCodeSequence")
    if items.get("PatientIdentityRemoved") == "YES" and not method:
        items.DeidentificationMethod = "Not stated by the source"  # type 1C: needs a value


def _scan(headers: Sequence[Dataset]) -> Dataset:
    """The items of ``OF_SCAN`` that all slices of a CT share."""
    scan = Dataset()
    if headers[0].get("Modality") != "CT":
        return scan
    with suppress(Exception):  # pydicom's converters raise many types for damaged bytes, which do not matter for a copy
        voltage, *voltages = {float(header.KVP) for header in headers}
        if not voltages and 0 < voltage < math.inf:
            scan.KVP = format_number_as_ds(voltage)
    with suppress(Exception):
        kernel, *kernels = {tuple(ensure_tuple(header.ConvolutionKernel)) for header in headers}
        if not kernels and all(len(name) <= SHORT and name.isascii() and name.isprintable() for name in kernel):
            scan.ConvolutionKernel = list(kernel)
    return scan


def series_number(header: Dataset) -> int:
    """The number of a series; 0 where there is none."""
    try:
        return int(header.get("SeriesNumber") or 0)
    except (TypeError, ValueError, OverflowError):  # a damaged number does not matter for a derived series
        return 0


def _slice(header: Dataset) -> SourceSlice:
    across, down = np.reshape(np.asarray(header.ImageOrientationPatient, float), (2, 3))
    position = np.asarray(header.ImagePositionPatient, float)
    frame = header.get("ReferencedFrameNumber")
    for name in ("SOPClassUID", "SOPInstanceUID"):
        if not header.get(name):
            fault = f"a slice of the source series has no {name}, which the derived series refers to"
            raise OutputError(fault, "export the series again, or pass --output_format nifti")
    return SourceSlice(
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        None if frame is None else int(frame),
        position,
        np.cross(across, down),
        str(header.SeriesInstanceUID),
    )
