"""Header of a derived series: every item that all slices share, by modality (DICOM PS3.3, A.3, A.4 and A.21)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from common.io.dicom.writing.origin import Origin
from common.io.dicom.writing.stored_pixels import Pixels

MANUFACTURER = "medical-image-synthesis-bundles"
SYNTHETIC_DATA = 0x0008001C
"""SyntheticData, by number: older dictionaries lack the keyword."""
SYNTHESIZING_EQUIPMENT = ("109100", "DCM", "Synthesizing Equipment")
SOURCE_IMAGE = ("121322", "DCM", "Source of Image Processing Operation")
DESCRIPTION_LENGTH = 64
"""Characters of a series description."""
FIRST_SERIES_NUMBER = 9000
"""Synthetic series are numbered from here, after those of a scanner."""
STORAGE_CLASS = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


@dataclass(frozen=True)
class Synthesis:
    """What made the volume: target ``modality`` (CT, MR, PT) and ``unit``, ``bundle`` ("name version"), hash of the
    weights, the ``moment`` of writing, and for MR the (repetition, echo) times in ms where they are known.
    """

    modality: str
    unit: str
    bundle: str
    weights_sha256: str
    moment: datetime
    timing: tuple[float, float] | None = None

    @property
    def description(self) -> str:
        """What it is and what it is not for, in a sentence."""
        return (
            f"Synthetic {self.modality} image in {self.unit}, made by {MANUFACTURER}, bundle {self.bundle}, weights"
            f" sha256 {self.weights_sha256}. Research use only, not for clinical use."
        )


def series_template(origin: Origin, synthesis: Synthesis, pixels: Pixels, slices: int) -> Dataset:
    """The items that all slices share, UIDs of series and instances left out.

    Args:
        origin: of the source.
        synthesis: what made the volume.
        pixels: as stored, for slope and factor.
        slices: how many there are.
    """
    template = copy.deepcopy(origin.items)
    template.SpecificCharacterSet = "ISO_IR 192"
    template.SOPClassUID = UID(STORAGE_CLASS[synthesis.modality])
    template.Modality = synthesis.modality
    template.add_new(SYNTHETIC_DATA, "CS", "YES")
    _add_labels(template, origin, synthesis)
    _add_equipment(template, synthesis, pixels)
    _add_pixel_format(template, pixels)
    template.AcquisitionNumber = None
    OWN_ITEMS[synthesis.modality](template, synthesis, slices)
    return template


def code_item(code: tuple[str, str, str]) -> Dataset:
    """A code of (value, scheme, meaning)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _add_labels(template: Dataset, origin: Origin, synthesis: Synthesis) -> None:
    description = f"SYNTHETIC {synthesis.modality}, research use only: {synthesis.bundle}"
    template.SeriesDescription = description[:DESCRIPTION_LENGTH]
    template.SeriesNumber = FIRST_SERIES_NUMBER + origin.series_number % 1000
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
    del template.PatientPosition  # the orientation sequence stands in its place


OWN_ITEMS: dict[str, Callable[[Dataset, Synthesis, int], None]] = {"CT": _add_ct, "MR": _add_mr, "PT": _add_pet}
"""What each modality alone has, added to the template."""
