"""What a derived series takes from its source, and what it must not."""

import hashlib

import pytest
from dicom_phantom import changing, write_series
from pydicom.dataset import Dataset

from common.errors import OutputError
from common.io.dicom.reading.series import source_headers
from common.io.dicom.writing.source_reference import reference_of_file, reference_of_series


def origin(folder, change=lambda header, number: None, **settings):
    write_series(folder, change=change, modality="MR", **settings)
    return reference_of_series(source_headers(folder, "case_1"), "case_1")


def dressed(header, number):
    """A header with everything that should and should not go over."""
    header.PatientName, header.PatientSex, header.PatientWeight = "Doe^Jane", "F", "61"
    header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", "by hand"
    header.ClinicalTrialSubjectID, header.ClinicalTrialSeriesID = "subject 3", "the source's"
    header.StudyDescription, header.BodyPartExamined, header.PatientPosition = "Head", "HEAD", "HFP"
    header.LossyImageCompression, header.LossyImageCompressionRatio = "01", "12.5"
    header.LossyImageCompressionMethod = "ISO_15444_1"
    header.RepetitionTime, header.EchoTime, header.CTDIvol = "4000", "90", 3.5
    header.ContrastBolusAgent, header.SmallestImagePixelValue = "iodine", 3
    header.PixelPaddingValue, header.WindowCenter, header.GantryDetectorTilt = 0, "40", "18"
    header.StationName, header.InstitutionName, header.OperatorsName = "A", "B", "C"
    header.PatientComments, header.AdditionalPatientHistory, header.MedicalAlerts = "free", "text", "of a patient"
    header.PatientAddress, header.Occupation, header.OtherPatientIDs = "Street 1", "baker", "4711"
    header.PhysiciansOfRecord, header.ClinicalTrialTimePointDescription = "Roe^Richard", "after surgery"
    header.add_new(0x60003000, "OW", b"\0\0")
    header.add_new(0x00091001, "LO", "private")
    header.IconImageSequence = header.RadiopharmaceuticalInformationSequence = [Dataset()]


def test_items_that_go_over_and_no_others(tmp_path):
    found = origin(tmp_path, dressed, series="1.2.3")
    assert (found.uid, found.series_number) == ("1.2.3", 3)
    items = found.items
    assert {element.keyword for element in items} == {
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight"),
        *("PatientIdentityRemoved", "DeidentificationMethod", "ClinicalTrialSubjectID"),
        *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
        *("ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator", "SpecificCharacterSet"),
        *("PatientPosition", "BodyPartExamined", "BurnedInAnnotation"),
        *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    }
    assert (items.PatientName, items.PatientID, items.PatientWeight) == ("Doe^Jane", "SECRET-4711", 61)
    assert (items.PatientPosition, items.StudyDate, items.ReferringPhysicianName) == ("HFP", "20240506", "")
    assert (items.LossyImageCompression, items.LossyImageCompressionRatio) == ("01", 12.5)


def test_a_source_without_frame_of_reference_gets_one_that_repeats(tmp_path):
    bare = changing(FrameOfReferenceUID=None)
    first, again = (origin(tmp_path / name, bare, series="1.2.3") for name in "ab")
    other = origin(tmp_path / "c", bare, series="1.2.4")
    assert first.items.FrameOfReferenceUID == again.items.FrameOfReferenceUID != other.items.FrameOfReferenceUID
    assert origin(tmp_path / "d", lambda header, _: setattr(header, "SeriesNumber", None)).series_number == 0


@pytest.mark.parametrize(("own", "expected"), [({}, "NO"), ({"BurnedInAnnotation": "YES"}, "YES")])
def test_burned_in_text_is_not_denied(tmp_path, own, expected):
    assert origin(tmp_path, changing(**own)).items.BurnedInAnnotation == expected


@pytest.mark.parametrize(
    ("removed", "method", "expected"),
    [("YES", "", "Not stated by the source"), ("YES", "by hand", "by hand"), ("NO", "", "")],
)
def test_de_identification_without_a_method_says_so(tmp_path, removed, method, expected):
    change = changing(PatientIdentityRemoved=removed, DeidentificationMethod=method)
    items = origin(tmp_path, change).items
    assert (items.PatientIdentityRemoved, items.DeidentificationMethod) == (removed, expected)


def test_odd_values_go_over_without_a_word_of_them(tmp_path, recwarn, caplog):
    write_series(tmp_path, change=changing(PatientAge="SECRET years"))
    headers = source_headers(tmp_path, "a")
    recwarn.clear()
    assert reference_of_series(headers, "a").items.PatientAge == "SECRET years"
    assert "SECRET" not in caplog.text + "".join(str(warning.message) for warning in recwarn)


def test_unreadable_items_are_an_error_that_quotes_nothing(tmp_path):
    class Damaged(Dataset):
        def __getitem__(self, key):
            raise KeyError("SECRET")

    write_series(tmp_path)
    damaged = Damaged()
    damaged.update(source_headers(tmp_path, "a")[0])
    with pytest.raises(OutputError, match="case_1: cannot read the patient and study items of the source") as caught:
        reference_of_series([damaged], "case_1")
    assert "SECRET" not in str(caught.value)


def test_a_file_without_patient_says_so_and_repeats(tmp_path):
    (tmp_path / "DOE_JANE.nii").write_bytes(b"scan")
    (tmp_path / "copy.nii").write_bytes(b"scan")
    (tmp_path / "other.nii").write_bytes(b"another scan")
    first, again, other = (reference_of_file(tmp_path / name) for name in ("DOE_JANE.nii", "copy.nii", "other.nii"))
    assert first.items.PatientName == "SYNTHETIC^NO PATIENT"
    assert first.items.PatientID == f"SYNTHETIC-NO-PATIENT-{hashlib.sha256(b'scan').hexdigest()[:16]}"
    assert first.items == again.items
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert first.items[keyword] != other.items[keyword]
    assert first.items.StudyInstanceUID != first.items.FrameOfReferenceUID
    assert (first.items.StudyDate, first.items.PatientBirthDate, first.slices) == ("", "", ())
    assert "DOE" not in str(first.items)


def test_slices_that_nothing_can_refer_to(tmp_path):
    with pytest.raises(OutputError, match="a slice of the source series has no SOPInstanceUID, .*: export the"):
        origin(tmp_path, lambda header, _: setattr(header, "SOPInstanceUID", None))


def test_letters_outside_the_character_set_of_the_header_are_a_warning(tmp_path, caplog):
    """Latin-1 under the name of UTF-8, whose bytes pydicom replaces."""
    write_series(tmp_path, change=changing(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 192"))
    found = reference_of_series(source_headers(tmp_path, "case_1"), "case_1")
    assert found.items.PatientName == "M\N{REPLACEMENT CHARACTER}ller^J\N{REPLACEMENT CHARACTER}rg"
    assert caplog.messages == [
        "case_1: letters of PatientName are outside the character set of the header, and lost in DICOM:"
        " correct SpecificCharacterSet of the source"
    ]
