"""Header template of a derived series: the items common to all slices, by modality (DICOM PS3.3, A.3, A.4, A.21)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage
from pydicom.valuerep import format_number_as_ds

from .source_reference import SourceReference
from .stored_pixels import Pixels

MANUFACTURER = "medical-image-synthesis-bundles"
SYNTHETIC_DATA = 0x0008001C
"""Tag of SyntheticData; older dictionaries lack the keyword."""
SYNTHESIZING_EQUIPMENT = ("109100", "DCM", "Synthesizing Equipment")
SOURCE_IMAGE = ("121322", "DCM", "Source of Image Processing Operation")
DESCRIPTION_LENGTH = 64
"""Maximum length of a series description in characters (VR LO)."""
COMMENTS_LENGTH = 10240
"""Maximum length of image comments in characters (VR LT)."""
FIRST_SERIES_NUMBER = 9000
"""Lowest number of a synthetic series, after those of a scanner."""
FIRST_MAP_NUMBER = 10000
"""Lowest number of the series of a map, that of its volume and 1000."""
CT_WINDOW = (40.0, 400.0)
"""Centre and width in HU that show brain and bone at once."""
SHOWN = (1, 99.5)
"""Percentiles of other modalities, and of maps, between which a viewer spreads its greys."""
UNSPECIFIED = "US"
"""RescaleType of a unit that is not stated (PS3.3, C.11.1.1.2)."""
STORAGE_CLASS = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


@dataclass(frozen=True)
class MapOf:
    """What makes a series a map of half-widths: the ``series_uid`` of its volume, and what its intervals ``hold``, such
    as "90% of voxels in 90% of cases".
    """

    series_uid: str
    hold: str


@dataclass(frozen=True)
class Synthesis:
    """Provenance of a volume: target ``modality`` (CT, MR, PT) and ``unit``, ``bundle`` ("name version"), hash of the
    weights, the ``moment`` of writing, for MR the (repetition, echo) times in ms where known, what the weights were
    ``trained_on`` where that is no image of a patient, ``warnings`` about the input, without names, ``map_of`` where it
    is no image but a map of half-widths in ``unit``, the ``verdict`` on its quality, a word, and a line about its
    ``quality``; and whether it is the ``same_scan`` as its source with less noise or contrast, whose voltage and kernel
    hold for it.
    """

    modality: str
    unit: str
    bundle: str
    weights_sha256: str
    moment: datetime
    timing: tuple[float, float] | None = None
    trained_on: str | None = None
    warnings: tuple[str, ...] = ()
    map_of: MapOf | None = None
    verdict: str | None = None
    quality: str | None = None
    same_scan: bool = False

    @property
    def series_description(self) -> str:
        """What a list of series shows, at most 64 characters: the verdict first, since narrow columns cut the rest."""
        what = self.modality if self.map_of is None else f"uncertainty in {self.unit}"
        if self.verdict is None:
            return f"SYNTHETIC {what}, research use only: {self.bundle}"[:DESCRIPTION_LENGTH]
        name = self.bundle.rpartition(" ")[0]  # half a version would be another one
        return f"SYNTHETIC {what}, {self.verdict}, research use only: {name}"[:DESCRIPTION_LENGTH]

    @property
    def description(self) -> str:
        """One sentence on origin and intended use."""
        what = f"Synthetic {self.modality} image in {self.unit}"
        if self.map_of is not None:
            what = f"Uncertainty of a synthetic {self.modality} image, no image itself: {self._intervals}"
        return (
            f"{what}, made by {MANUFACTURER}, bundle {self.bundle}, weights"
            f" sha256 {self.weights_sha256}{self._origin}. Research use only, not for clinical use."
        )

    @property
    def comments(self) -> str:
        """What a reader of the image must know: origin, use, quality and every warning about the input, a line each."""
        lines = [f"SYNTHETIC, research use only, not for clinical use. Weights{self._origin or ' of a training'}."]
        if self.map_of is not None:
            lines.append(f"No image: {self._intervals}.")
        lines += [f"{self.quality[:1].upper()}{self.quality[1:]}."] if self.quality else []
        return "\r\n".join([*lines, *(f"Warning: {each}" for each in self.warnings)])[:COMMENTS_LENGTH]

    @property
    def _intervals(self) -> str:
        assert self.map_of is not None
        return f"half-width in {self.unit} of intervals around the volume that hold {self.map_of.hold}"

    @property
    def _origin(self) -> str:
        return "" if self.trained_on is None else f" trained on {self.trained_on}, alone"


def series_template(source: SourceReference, synthesis: Synthesis, pixels: Pixels) -> Dataset:
    """The items common to all slices, without UIDs of series and instances.

    Args:
        source: patient, study and frame of reference.
        synthesis: bundle, weights, modality and unit.
        pixels: as stored.
    """
    template = copy.deepcopy(source.items)
    template.SpecificCharacterSet = "ISO_IR 192"
    template.SOPClassUID = UID(STORAGE_CLASS[synthesis.modality])
    template.Modality = synthesis.modality
    template.add_new(SYNTHETIC_DATA, "CS", "YES")
    _add_labels(template, source, synthesis)
    _add_equipment(template, synthesis, pixels)
    _add_pixel_format(template, pixels)
    _add_window(template, pixels, synthesis)
    template.AcquisitionNumber = None
    OWN_ITEMS[synthesis.modality](template, synthesis, pixels)
    if synthesis.same_scan and synthesis.map_of is None:
        template.update(source.scan)
    return template


def code_item(code: tuple[str, str, str]) -> Dataset:
    """A code sequence item of (value, scheme, meaning)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _add_labels(template: Dataset, source: SourceReference, synthesis: Synthesis) -> None:
    template.SeriesDescription = synthesis.series_description
    template.ImageComments = synthesis.comments
    first = FIRST_SERIES_NUMBER if synthesis.map_of is None else FIRST_MAP_NUMBER
    template.SeriesNumber = first + source.series_number % 1000
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


def _add_window(template: Dataset, pixels: Pixels, synthesis: Synthesis) -> None:
    """What a viewer shows at first, in the unit after rescaling (PS3.3, C.11.2)."""
    centre, width = CT_WINDOW
    if synthesis.modality != "CT" or synthesis.map_of is not None:
        step = float(pixels.slope or 1)
        low, high = np.percentile(pixels.stored, SHOWN) * step
        centre, width = (low + high) / 2, max(high - low, step)
        template.VOILUTFunction = "LINEAR_EXACT"  # the other one has no width below 1
    template.WindowCenter, template.WindowWidth = format_number_as_ds(centre), format_number_as_ds(width)


def _add_ct(template: Dataset, synthesis: Synthesis, pixels: Pixels) -> None:
    template.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    # planning systems take densities from series in HU, which half-widths are not
    template.RescaleType = "HU" if synthesis.map_of is None else UNSPECIFIED
    template.KVP = None


def _add_mr(template: Dataset, synthesis: Synthesis, pixels: Pixels) -> None:
    template.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    template.ScanningSequence = "RM"  # research mode
    template.SequenceVariant = "NONE"
    template.ScanOptions = template.MRAcquisitionType = ""
    template.EchoTrainLength = None
    template.RepetitionTime, template.EchoTime = synthesis.timing or (None, None)


def _add_pet(template: Dataset, synthesis: Synthesis, pixels: Pixels) -> None:
    template.ImageType = ["DERIVED", "PRIMARY"]
    template.SeriesType = ["STATIC", "IMAGE"]
    template.Units = "NONE"
    template.CountsSource = "EMISSION"
    template.DecayCorrection = "NONE"
    template.CorrectedImage = template.CollimatorType = ""
    template.NumberOfSlices = pixels.stored.shape[2]
    template.FrameReferenceTime = "0"
    template.ActualFrameDuration = None
    template.AcquisitionDate = template.AcquisitionTime = ""
    template.RadiopharmaceuticalInformationSequence = []
    template.PatientOrientationCodeSequence = []
    template.PatientGantryRelationshipCodeSequence = []
    del template.PatientPosition  # replaced by PatientOrientationCodeSequence


OWN_ITEMS: dict[str, Callable[[Dataset, Synthesis, Pixels], None]] = {"CT": _add_ct, "MR": _add_mr, "PT": _add_pet}
"""Adds the items that are specific to a modality."""
