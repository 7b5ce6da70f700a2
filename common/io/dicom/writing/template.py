"""Header template of a derived series: the items common to all slices, by modality (DICOM PS3.3, A.3, A.4, A.21)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from common.io.dicom.writing.source_reference import SourceReference
from common.io.dicom.writing.stored_pixels import Pixels

MANUFACTURER = "medical-image-synthesis-bundles"
SYNTHETIC_DATA = 0x0008001C
"""Tag of SyntheticData; older dictionaries lack the keyword."""
SYNTHESIZING_EQUIPMENT = ("109100", "DCM", "Synthesizing Equipment")
SOURCE_IMAGE = ("121322", "DCM", "Source of Image Processing Operation")
DESCRIPTION_LENGTH = 64
"""Maximum length of a series description in characters (VR LO)."""
FIRST_SERIES_NUMBER = 9000
"""Lowest number of a synthetic series, after those of a scanner."""
STORAGE_CLASS = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


@dataclass(frozen=True)
class Synthesis:
    """Provenance of a volume: target ``modality`` (CT, MR, PT) and ``unit``, ``bundle`` ("name version"), hash of the
    weights, the ``moment`` of writing, and for MR the (repetition, echo) times in ms where known.
    """

    modality: str
    unit: str
    bundle: str
    weights_sha256: str
    moment: datetime
    timing: tuple[float, float] | None = None

    @property
    def description(self) -> str:
        """One sentence on origin and intended use."""
        return (
            f"Synthetic {self.modality} image in {self.unit}, made by {MANUFACTURER}, bundle {self.bundle}, weights"
            f" sha256 {self.weights_sha256}. Research use only, not for clinical use."
        )


def series_template(source: SourceReference, synthesis: Synthesis, pixels: Pixels, slices: int) -> Dataset:
    """The items common to all slices, without UIDs of series and instances.

    Args:
        source: patient, study and frame of reference.
        synthesis: bundle, weights, modality and unit.
        pixels: as stored, for the rescale slope.
        slices: number of slices.
    """
    template = copy.deepcopy(source.items)
    template.SpecificCharacterSet = "ISO_IR 192"
    template.SOPClassUID = UID(STORAGE_CLASS[synthesis.modality])
    template.Modality = synthesis.modality
    template.add_new(SYNTHETIC_DATA, "CS", "YES")
    _add_labels(template, source, synthesis)
    _add_equipment(template, synthesis, pixels)
    _add_pixel_format(template, pixels)
    template.AcquisitionNumber = None
    OWN_ITEMS[synthesis.modality](template, synthesis, slices)
    return template


def code_item(code: tuple[str, str, str]) -> Dataset:
    """A code sequence item of (value, scheme, meaning)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _add_labels(template: Dataset, source: SourceReference, synthesis: Synthesis) -> None:
    description = f"SYNTHETIC {synthesis.modality}, research use only: {synthesis.bundle}"
    template.SeriesDescription = description[:DESCRIPTION_LENGTH]
    template.SeriesNumber = FIRST_SERIES_NUMBER + source.series_number % 1000
    day, time = f"{synthesis.moment:%Y%m%d}", f"{synthesis.moment:%H%M%S}"
    template.InstanceCreationDate = template.SeriesDate = template.ContentDate = day
    template.InstanceCreationTime = template.SeriesTime = template.ContentTime = time


def _add_equipment(template: Dataset, synthesis: Synthesis, pixels: Pixels) -> None:
    name, _, version = synthesis.bundle.rpartition(" ")
    note = ""
    if pixels.slope is None:
        note = f" One stored step is {pixels.unit_per_step:g} {synthesis.unit}"
    template.DerivationDescription = synthesis.description + note
    item = Dataset()
    for equipment in (template, item):
        equipment.Manufacturer = MANUFACTURER
        equipment.ManufacturerModelName = name
        equipment.SoftwareVersions = version
    item.ContributionDateTime = f"{synthesis.moment:%Y%m%d%H%M%S}"
    item.ContributionDescription = synthesis.description
    item.PurposeOfReferenceCodeSequence = [code_item(SYNTHESIZING_EQUIPMENT)]
    template.ContributingEquipmentSequence = [item]


def _add_pixel_format(template: Dataset, pixels: Pixels) -> None:
    template.Columns, template.Rows = pixels.stored.shape[:2]
    template.SamplesPerPixel = 1
    template.PhotometricInterpretation = "MONOCHROME2"
    template.BitsAllocated = template.BitsStored = 16
    template.HighBit = 15
    template.PixelRepresentation = int(pixels.stored.dtype.kind == "i")
    if pixels.slope is not None:
        template.RescaleIntercept = "0"
        template.RescaleSlope = pixels.slope


def _add_ct(template: Dataset, synthesis: Synthesis, slices: int) -> None:
    template.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    template.RescaleType = "HU"
    template.KVP = None


def _add_mr(template: Dataset, synthesis: Synthesis, slices: int) -> None:
    template.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    template.ScanningSequence = "RM"  # research mode
    template.SequenceVariant = "NONE"
    template.ScanOptions = template.MRAcquisitionType = ""
    template.EchoTrainLength = None
    template.RepetitionTime, template.EchoTime = synthesis.timing or (None, None)


def _add_pet(template: Dataset, synthesis: Synthesis, slices: int) -> None:
    template.ImageType = ["DERIVED", "PRIMARY"]
    template.SeriesType = ["STATIC", "IMAGE"]
    template.Units = "NONE"
    template.CountsSource = "EMISSION"
    template.DecayCorrection = "NONE"
    template.CorrectedImage = template.CollimatorType = ""
    template.NumberOfSlices = slices
    template.FrameReferenceTime = "0"
    template.ActualFrameDuration = None
    template.AcquisitionDate = template.AcquisitionTime = ""
    template.RadiopharmaceuticalInformationSequence = []
    template.PatientOrientationCodeSequence = []
    template.PatientGantryRelationshipCodeSequence = []
    del template.PatientPosition  # replaced by PatientOrientationCodeSequence


OWN_ITEMS: dict[str, Callable[[Dataset, Synthesis, int], None]] = {"CT": _add_ct, "MR": _add_mr, "PT": _add_pet}
"""Adds the items that are specific to a modality."""
