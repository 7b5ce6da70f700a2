"""Every item that the slices of a derived series share, as literals."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from common.io.dicom.writing.source_reference import SourceReference
from common.io.dicom.writing.stored_pixels import TO_MAP_PIXELS, TO_PIXELS
from common.io.dicom.writing.template import MapOf, Synthesis, series_template

MOMENT = datetime(2025, 3, 4, 5, 6, 7)
HASH = "0123456789abcdef" * 4
SENTENCE = (
    "Synthetic {} image in {}, made by medical-image-synthesis-bundles, bundle mr2ct_pix2pix 1.2.3, weights sha256 "
    f"{HASH}. Research use only, not for clinical use."
)


def source_items():
    items = Dataset()
    items.PatientName, items.PatientPosition, items.LossyImageCompression = "Doe^Jane", "HFS", "01"
    items.SpecificCharacterSet = "ISO_IR 100"
    return items


def template(modality, unit="HU", bundle="mr2ct_pix2pix 1.2.3", timing=None, number=3):
    pixels = TO_PIXELS[modality](np.array([0, 1000.0]).reshape(1, 2, 1).repeat(3, axis=0).repeat(4, axis=2), "a")
    synthesis, items = Synthesis(modality, unit, bundle, HASH, MOMENT, timing), source_items()
    made = series_template(SourceReference(items, "1.2.3", number, ()), synthesis, pixels)
    assert items == source_items(), "the source's items stay"
    return made


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_items_of_all_modalities(modality):
    made = template(modality)
    assert made[0x0008001C].value == "YES"  # SyntheticData
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert (made.PatientName, made.LossyImageCompression) == ("Doe^Jane", "01")
    assert made.SeriesDescription == f"SYNTHETIC {modality}, research use only: mr2ct_pix2pix 1.2.3"
    assert made.SeriesNumber == 9003
    assert made.SeriesDate == made.ContentDate == made.InstanceCreationDate == "20250304"
    assert made.SeriesTime == made.ContentTime == made.InstanceCreationTime == "050607"
    assert (made.Columns, made.Rows) == (3, 2)
    assert (made.BitsAllocated, made.BitsStored, made.HighBit, made.SamplesPerPixel) == (16, 16, 15, 1)
    assert made.PixelRepresentation == {"CT": 1, "MR": 1, "PT": 0}[modality]
    assert (made.PhotometricInterpretation, made.AcquisitionNumber) == ("MONOCHROME2", None)
    assert made.DerivationDescription.startswith(SENTENCE.format(modality, "HU"))


def test_comments_tell_origin_and_warnings():
    pixels = TO_PIXELS["CT"](np.zeros((2, 2, 2)), "a")
    source = SourceReference(source_items(), "1.2.3", 0, ())
    known = Synthesis("CT", "HU", "b 1", HASH, MOMENT, None, "simulated heads, no patient", ("one", "two"))
    made = series_template(source, known, pixels)
    assert made.ImageComments.split("\r\n") == [
        "SYNTHETIC, research use only, not for clinical use. Weights trained on simulated heads, no patient, alone.",
        "Warning: one",
        "Warning: two",
    ]
    told = f"weights sha256 {HASH} trained on simulated heads, no patient, alone. Research use only"
    assert told in made.DerivationDescription
    assert told in made.ContributingEquipmentSequence[0].ContributionDescription
    assert len(made.DerivationDescription) <= 1024
    assert template("MR").ImageComments == (
        "SYNTHETIC, research use only, not for clinical use. Weights of a training."
    )
    many = Synthesis("CT", "HU", "b 1", HASH, MOMENT, None, None, ("x" * 9000, "y" * 9000))
    assert len(series_template(source, many, pixels).ImageComments) == 10240


def test_a_map_is_no_image():
    """The series is listed after that of its volume, is in no unit that a planning system takes for densities."""
    pixels = TO_MAP_PIXELS["CT"](np.arange(1001.0).reshape(1001, 1, 1), "a")
    of = MapOf("1.2.3.4", "90% of voxels in 95% of cases")
    synthesis = Synthesis("CT", "HU", "mr2ct_pix2pix 1.2.3", HASH, MOMENT, map_of=of)
    made = series_template(SourceReference(source_items(), "1.2.3", 3, ()), synthesis, pixels)
    assert made.SeriesDescription == "SYNTHETIC uncertainty in HU, research use only: mr2ct_pix2pix 1."
    assert (made.SeriesNumber, made.Modality, made.RescaleType) == (10003, "CT", "US")
    assert made.RescaleSlope == pytest.approx(1000 / 65535)
    told = "half-width in HU of intervals around the volume that hold 90% of voxels in 95% of cases"
    assert f"no image itself: {told}, made by" in made.DerivationDescription
    assert made.ImageComments.split("\r\n")[1] == f"No image: {told}."
    assert (float(made.WindowCenter), float(made.WindowWidth)) == (pytest.approx(502.5, 1e-3), pytest.approx(985, 1e-3))
    assert made[0x0008001C].value == "YES"


@pytest.mark.parametrize(
    ("modality", "bundle", "described"),
    [
        ("CT", "mr2ct_pix2pix 1.2.3", "SYNTHETIC CT, review, research use only: mr2ct_pix2pix"),
        ("CT", "cect2ct_rescyclegan 1.2.3", "SYNTHETIC CT, review, research use only: cect2ct_rescyclegan"),
        ("PT", "mri2pet_sketcher_refiner 1.2.3", "SYNTHETIC PT, review, research use only: mri2pet_sketcher_refine"),
    ],
)
def test_the_list_of_series_shows_the_verdict_and_the_comments_its_reasons(modality, bundle, described):
    pixels = TO_PIXELS[modality](np.zeros((2, 2, 2)), "a")
    items = source_items()
    items.SeriesDescription = "FLAIR for Dr. Roe"
    synthesis = Synthesis(
        modality, "HU", bundle, HASH, MOMENT, verdict="review", quality="quality: review; the head is tilted"
    )
    made = series_template(SourceReference(items, "1.2.3", 3, ()), synthesis, pixels)
    assert made.SeriesDescription == described
    assert len(described) <= 64
    assert made.ImageComments.split("\r\n")[1:] == ["Quality: review; the head is tilted."]
    of_map = replace(synthesis, unit="SUVR", map_of=MapOf("1.2.3.4", "90% of voxels in 95% of cases"))
    assert of_map.series_description.startswith("SYNTHETIC uncertainty in SUVR, review, research use only: ")


def test_ct():
    made = template("CT")
    assert (made.SOPClassUID, made.Modality) == (CTImageStorage, "CT")
    assert made.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
    assert (made.RescaleSlope, made.RescaleIntercept, made.RescaleType) == (1, 0, "HU")
    assert made["KVP"].value is None
    assert made.PatientPosition == "HFS"


def test_mr_has_no_rescale_and_says_its_factor_in_words():
    made = template("MR", "a.u.")
    assert (made.SOPClassUID, made.Modality) == (MRImageStorage, "MR")
    assert made.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
    assert "RescaleSlope" not in made
    assert "RescaleIntercept" not in made
    assert made.DerivationDescription == SENTENCE.format("MR", "a.u.") + " One stored step is 0.03125 a.u."
    assert (made.ScanningSequence, made.SequenceVariant) == ("RM", "NONE")
    assert (made.RepetitionTime, made.EchoTime) == (None, None)
    timed = template("MR", timing=(4500.0, 92.5))
    assert (timed.RepetitionTime, timed.EchoTime) == (4500, 92.5)


def test_pet():
    made = template("PT", "DVR")
    assert (made.SOPClassUID, made.Modality) == (PositronEmissionTomographyImageStorage, "PT")
    assert made.ImageType == ["DERIVED", "PRIMARY"]
    assert made.SeriesType == ["STATIC", "IMAGE"]
    assert (made.Units, made.DecayCorrection, made.CountsSource) == ("NONE", "NONE", "EMISSION")
    assert (made.RescaleIntercept, made.RescaleSlope) == (0, 0.0152590218967)  # 1000 by 65535
    assert (made.FrameReferenceTime, made.NumberOfSlices) == (0, 4)
    for name in ("Radiopharmaceutical Information", "Patient Orientation Code", "Patient Gantry Relationship Code"):
        assert len(made[name.replace(" ", "") + "Sequence"].value) == 0
    assert "PatientPosition" not in made


def test_descriptions_and_numbers_fit_their_fields():
    made = template("PT", bundle=f"{'very_' * 12}long_name 1.2.3", number=123456789012)
    assert made.SeriesDescription.startswith("SYNTHETIC PT, research use only: very_very_")
    assert len(made.SeriesDescription) == 64
    assert made.SeriesNumber == 9012
    assert len(made.DerivationDescription) <= 1024
