import logging
import re
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_phantom import SAGITTAL, Grid, changing, refused, write_enhanced, write_presentation_state, write_series
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from common.errors import ConfigError, DataError
from common.io.dicom.reading.series import SeriesOptions, source_headers
from common.io.dicom.reading.volume import load_series
from common.io.dicom.validation import without_validation

GRID = Grid()


def is_the_phantom(volume, grid=GRID):
    return np.allclose(volume.affine, grid.affine) and np.abs(volume.values - grid.values()).max() < 0.06


def add(amount):
    """Makes a slice's stored values larger, so that its series is told from another by them."""

    def change(header, number):
        raw = np.frombuffer(header.PixelData, "<u2") + amount
        header.PixelData = raw.astype("<u2").tobytes()

    return change


def test_what_is_no_slice_is_left_out_and_counted_in_one_note(tmp_path):
    series = write_series(tmp_path / "ct")

    localizer = changing(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "ct", Grid(orientation=SAGITTAL), change=localizer, series=series, prefix="scout")
    write_presentation_state(tmp_path / "ct", series)
    write_series(tmp_path / "ct" / "sub")
    (tmp_path / "ct" / "notes.txt").write_text("Secret^Patient")
    (tmp_path / "ct" / "empty.dcm").touch()
    volume = load_series(tmp_path / "ct", "case7")
    assert is_the_phantom(volume)
    assert [str(note) for note in volume.warnings] == [
        "case7 (ct): other files or frames in the folder (2 not DICOM, 1 Grayscale Softcopy Presentation State,"
        " 4 localizers); they are ignored"
    ]


@pytest.mark.parametrize(("kind", "value"), [("OB", b"ab"), ("US", 7), ("FD", 1.5)])
def test_an_image_type_that_is_no_text_is_read_past(tmp_path, kind, value):
    def change(header, number):
        header["ImageType"] = DataElement(0x00080008, kind, value)

    write_series(tmp_path / "ct", change=change)
    assert is_the_phantom(load_series(tmp_path / "ct", "case7"))


@pytest.mark.parametrize(
    "fields", [{"SOPClassUID": SecondaryCaptureImageStorage}, {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}]
)
def test_a_screen_save_in_a_series_is_left_out_and_counted(tmp_path, fields):
    picture = changing(**fields, **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")))
    series = write_series(tmp_path / "ct")
    screen = Grid(shape=(9, 7, 1))
    write_series(tmp_path / "ct", screen, change=picture, series=series, prefix="screen", values=np.zeros(screen.shape))
    volume = load_series(tmp_path / "ct", "case7")
    assert is_the_phantom(volume)
    assert [str(note) for note in volume.warnings] == [
        "case7 (ct): other files or frames in the folder (1 screen saves without a position); they are ignored"
    ]


def test_a_slice_that_lost_its_position_is_no_screen_save(tmp_path):
    write_series(tmp_path / "ct", change=changing([3], ImagePositionPatient=None))  # no gap would be seen
    refused(tmp_path / "ct", r"a slice has no ImagePositionPatient \(001\.dcm\)")


def test_series_data_of_philips_with_rows_but_without_pixels_are_no_slice(tmp_path):
    write_series(tmp_path / "ct")
    data = pydicom.dcmread(tmp_path / "ct" / "001.dcm", stop_before_pixels=True)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.3.46.670589.11.0.0.12.2"
    del data.BitsAllocated, data.ImagePositionPatient
    data.save_as(tmp_path / "ct" / "XX_0001")
    volume = load_series(tmp_path / "ct", "case7")
    assert is_the_phantom(volume)
    assert "(1 without an image)" in str(volume.warnings[0])


def test_folders_without_slices(tmp_path):
    (tmp_path / "ct").mkdir()
    refused(tmp_path / "ct", r"case7 \(ct\): no DICOM slices in the folder; give that of an image series, or NIfTI")
    (tmp_path / "ct" / "a.txt").touch()
    refused(tmp_path / "ct", r"no DICOM slices in the folder \(1 not DICOM\)")
    refused(tmp_path / "none", r"no such folder \(.*none\); correct the path")


def test_a_slice_cut_off_in_its_header_is_named_not_passed_over(tmp_path):
    write_series(tmp_path / "ct")
    path = tmp_path / "ct" / "001.dcm"
    path.write_bytes(path.read_bytes()[:500])
    refused(tmp_path / "ct", r"(Rows|readable|SeriesInstanceUID).*001\.dcm")


def test_links_to_slices_are_followed_and_one_to_nothing_is_named(tmp_path):
    """As of git-annex where the content was not fetched; of the outermost slice no gap is seen."""
    write_series(tmp_path / "away")
    (tmp_path / "ct").mkdir()
    for path in (tmp_path / "away").iterdir():
        (tmp_path / "ct" / path.name).symlink_to(path)
    (tmp_path / "ct" / "folder").symlink_to(tmp_path / "away")
    assert is_the_phantom(load_series(tmp_path / "ct", "case7"))
    last = tmp_path / "ct" / "004.dcm"
    last.unlink()
    last.symlink_to("../.git/annex/objects/MD5E-s4711--0.dcm")
    refused(
        tmp_path / "ct",
        r"a file is a link to content that is not here \(004\.dcm\); get its content, as by git annex get or git lfs"
        " pull, or remove the link",
    )
    last.unlink()
    last.symlink_to(tmp_path / "ct" / "004.dcm")
    refused(tmp_path / "ct", r"a link to content that is not here \(004\.dcm\)")


def test_a_slice_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    write_series(tmp_path / "ct")

    def denied(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("common.io.dicom.reading.headers.pydicom.dcmread", denied)
    refused(tmp_path / "ct", r"cannot read the header of a slice \(PermissionError in 001.dcm\); copy or export")


@pytest.fixture
def two(tmp_path):
    write_series(tmp_path / "ct", series="1.2.3")
    write_series(tmp_path / "ct", Grid(shape=(6, 5, 3)), modality="MR", series="1.2.4", prefix="mr")
    return tmp_path / "ct"


def test_the_series_asked_for_is_read(two):
    volume = load_series(two, "case7", SeriesOptions(series="1.2.3"))
    assert is_the_phantom(volume)
    assert (volume.series_uid, volume.modality) == ("1.2.3", "CT")
    assert "(3 of other series)" in str(volume.warnings[0])
    other = load_series(two, "case7", SeriesOptions(series=["9.9", "1.2.4"]))
    assert other.values.shape == (6, 5, 3)
    assert other.series_uid == "1.2.4"


def test_several_series_none_or_two_of_which_are_asked_for_are_listed(two):
    refused(
        two,
        r"several series in the folder \(2 series: 1\.2\.3 \[CT, 4 slices\], 1\.2\.4 \[MR, 3 slices\]\);"
        " choose one by --series UID, or join parts of one volume by --series all",
    )
    refused(two, r"2 series, 0 of them requested: 1\.2\.3", series="1.2.5")
    refused(two, r"2 series, 2 of them requested: 1\.2\.3", series=["1.2.3", "1.2.4"])


def test_of_several_series_the_one_of_the_wanted_modality_is_read(two):
    volume = load_series(two, "case7", SeriesOptions(modality="MR"))
    assert volume.series_uid == "1.2.4"
    assert [str(note) for note in volume.warnings] == [
        "case7 (ct): other files or frames in the folder (4 of other series); the only MR series is used"
    ]
    refused(two, r"2 series: 1\.2\.3 .* choose one by --series UID", modality="PT")
    write_series(two, modality="MR", series="1.2.5", prefix="third")
    refused(two, "3 series: .* choose one by --series UID", modality="MR")
    assert load_series(two, "case7", SeriesOptions(series="1.2.5", modality="MR")).series_uid == "1.2.5"


def test_another_modality_is_named_before_its_geometry(tmp_path, two):
    write_series(tmp_path / "tilted", Grid(step=(0, 1, 2.5)))
    message = "^case7 is a CT, this bundle needs an MR: pass an MR, or --accept_modality true$"
    with pytest.raises(DataError, match=message):
        load_series(tmp_path / "tilted", "case7", SeriesOptions(modality="MR"))
    with pytest.raises(DataError, match=message):
        load_series(two, "case7", SeriesOptions(series="1.2.3", modality="MR"))
    refused(tmp_path / "tilted", "--resample_tilt true", modality="CT")


def a_series_a_slice(header, number):
    header.SeriesInstanceUID = f"1.2.{number}"


def test_slices_that_are_series_of_their_own_can_be_joined(tmp_path):
    write_series(tmp_path / "ct", Grid(shape=(6, 5, 40)), change=a_series_a_slice)
    message = r"^case7 \(ct\): every slice is a series of its own \(40 series\); join them by --series all$"
    refused(tmp_path / "ct", message)
    volume = load_series(tmp_path / "ct", "case7", SeriesOptions(series="all"))
    assert is_the_phantom(volume, Grid(shape=(6, 5, 40)))
    assert [note.fault for note in volume.warnings] == ["several series in the folder"]
    assert len(source_headers(tmp_path / "ct", "case7", SeriesOptions(series="all"))) == 40


def test_slices_that_an_anonymisation_has_separated_are_not_joined(tmp_path):
    def separated(header, number):
        header.SeriesInstanceUID, header.StudyInstanceUID = f"1.2.{number}", f"1.3.{number}"

    remedy = "anonymise again with one UID for all slices of the series$"
    write_series(tmp_path / "ct", change=separated)
    refused(tmp_path / "ct", rf"every slice is a study of its own \(4 series\); {remedy}")

    def moved(header, number):
        header.FrameOfReferenceUID = f"1.4.{number}"

    write_series(tmp_path / "mr", change=moved)
    fault = r"slices of several frames of reference \(4 values of FrameOfReferenceUID\)"
    refused(tmp_path / "mr", f"{fault}; {remedy}")


def test_joined_series_are_those_of_the_wanted_modality_and_of_one_study(tmp_path):
    write_series(tmp_path / "ct", change=a_series_a_slice)
    write_series(tmp_path / "ct", modality="MR", series="1.3", prefix="mr")
    assert is_the_phantom(load_series(tmp_path / "ct", "case7", SeriesOptions(series="all", modality="CT")))
    fault = r"slices of 2 studies in 5 series \(4 such as 001\.dcm, 4 such as mr001\.dcm\)"
    refused(tmp_path / "ct", fault, series="all")


def test_a_uid_that_is_none_is_not_repeated(tmp_path):
    write_series(tmp_path / "ct", series="1.2.3")
    write_series(tmp_path / "ct", series="Secret^Patient", prefix="b")
    refused(tmp_path / "ct", r"1\.2\.3 \[CT, 4 slices\], an invalid UID \[CT, 4 slices\]")


@pytest.mark.parametrize(
    ("fields", "what", "listed"),
    [
        ({"PatientID": "SECRET-4712"}, "patients", "{} such as {}, {} such as {}"),
        ({"StudyInstanceUID": "1.2.9"}, "studies", "{} such as {}, {} such as {}"),
        ({"Modality": "MR"}, "modalities", "MR in {} such as {}, CT in {} such as {}"),
        ({"Modality": "Secret^Patient"}, "modalities", "no modality in {} such as {}, CT in {} such as {}"),
    ],
)
@pytest.mark.parametrize(("from_slice", "last"), [(1, "004.dcm"), (3, "002.dcm")])
def test_two_origins_under_one_series_uid_are_refused(tmp_path, fields, what, listed, from_slice, last):
    write_series(tmp_path / "ct", change=changing(range(from_slice, 4), **fields))
    counts = listed.format(4 - from_slice, "001.dcm", from_slice, last)
    fault = f"slices of 2 {what} under one SeriesInstanceUID ({counts})"
    refused(tmp_path / "ct", re.escape(f"{fault}; move one into another folder"))


def test_empty_patient_ids_are_no_other_patient(tmp_path):
    write_series(tmp_path / "ct", change=changing([0], PatientID=""))
    assert is_the_phantom(load_series(tmp_path / "ct", "case7"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"phase": 0}, "--phase is 0: give a whole number from 1"),
        ({"phase": "a"}, "--phase is a: give a whole number from 1"),
        ({"series": [1.2]}, r"--series \[1.2\] is not a SeriesInstanceUID or a list of them"),
    ],
)
def test_options_of_another_kind(options, match):
    with pytest.raises(ConfigError, match=match):
        SeriesOptions(**options)


def phases(folder, keyword, values):
    """A series with as many acquisitions as values; the n-th (from 0) is brighter by 10 n (100 stored)."""
    for number, value in enumerate(values):

        def change(header, place, number=number, value=value):
            setattr(header, keyword, value)
            header.InstanceNumber = number * GRID.shape[2] + place + 1
            add(100 * number)(header, place)

        write_series(folder, GRID, change=change, series="1.2.3", prefix=f"t{len(values) - number}")
    return folder


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("TemporalPositionIdentifier", [1, 2, 3]),
        ("TriggerTime", [0.5, 20, 100]),
        ("EchoTime", [9, 80, 110]),
        ("DiffusionBValue", [0.0, 500.0, 1000.0]),
        ("AcquisitionNumber", [2, 4, 11]),
        ("AcquisitionTime", ["101500", "101530", "101600.5"]),
        ("InstanceNumber", [1, 2, 3]),
    ],
)
def test_acquisitions_at_the_same_positions_ask_for_a_phase(tmp_path, keyword, values):
    folder = phases(tmp_path / "ct", keyword, values)
    refused(
        folder,
        rf"the series has several acquisitions \(3 that differ in {keyword}\);"
        " choose one by --phase 1 to --phase 3",
    )
    for number in range(3):
        volume = load_series(folder, "case7", SeriesOptions(phase=number + 1))
        assert np.abs(volume.values - GRID.values() - 10 * number).max() < 0.06
    refused(folder, rf"the series has no phase 4 \(3 that differ in {keyword}\)", phase=4)


def acquisitions(folder, blocks, grid, change=lambda header, number: None, brighter=0, key="AcquisitionNumber"):
    """A series whose acquisitions, from 10 on, have some of the slices each; the later ones may be brighter."""
    for number, block in enumerate(blocks):

        def own(header, place, number=number, block=block):
            setattr(header, key, str(number + 10))
            header.ImagePositionPatient = list(grid.position(block[place]))
            header.InstanceNumber = 100 * number + block[place]
            add(number * brighter)(header, place)
            change(header, number)

        values = grid.values()[:, :, block]
        part = replace(grid, shape=(*grid.shape[:2], len(block)))
        write_series(folder, part, "MR", change=own, series="1.2.3", prefix=f"t{number}", values=values)
    return folder


LONG = Grid(shape=(6, 5, 10))


@pytest.mark.parametrize(
    ("blocks", "copies"),
    [
        ([range(6), range(5, 10)], 1),
        ([range(4, 10), range(5)], 1),
        ([range(6), range(3, 10)], 3),
        ([range(4), range(3, 7), range(6, 10)], 2),
    ],
    ids=["one shared slice", "from the head down", "three shared slices", "three acquisitions"],
)
@pytest.mark.parametrize("key", ["AcquisitionNumber", "AcquisitionTime", "TemporalPositionIdentifier"])
def test_acquisitions_that_continue_each_other_are_one_volume(tmp_path, blocks, copies, key):
    folder = acquisitions(tmp_path / "mr", [list(block) for block in blocks], LONG, key=key)
    volume = load_series(folder, "case7")
    assert is_the_phantom(volume, LONG)
    joined, duplicates = volume.warnings
    number = f"{len(blocks)} that differ in {key}"
    assert joined.summary == f"acquisitions that continue each other ({number})"
    assert duplicates.summary.startswith(f"duplicate slices ({copies} with identical values: t1")
    assert len(source_headers(folder, "case7")) == 10


def test_a_phase_of_acquisitions_that_continue_each_other_is_a_part_with_a_warning(tmp_path):
    folder = acquisitions(tmp_path / "mr", [range(6), range(5, 10)], LONG)
    for phase, count, covered in ((1, 6, "15 of 25 mm"), (2, 5, "12.5 of 25 mm")):
        volume = load_series(folder, "case7", SeriesOptions(phase=phase))
        assert volume.values.shape == (6, 5, count)
        (note,) = volume.warnings
        assert note.summary == f"the phase covers a part of the field of view ({covered})"


@pytest.mark.parametrize(
    ("blocks", "others"),
    [
        ([range(0, 10, 2), [1, 3, 4, 5, 7, 9]], {}),
        ([range(10), range(9)], {}),
        ([range(4), [3, 6, 7, 8, 9]], {}),
        ([range(6), range(5, 10)], {"change": lambda header, number: setattr(header, "RepetitionTime", 500 + number)}),
    ],
    ids=["interleaved", "one field of view", "a gap", "other parameters"],
)
def test_acquisitions_that_are_not_one_volume_still_ask_for_a_phase(tmp_path, blocks, others):
    folder = acquisitions(tmp_path / "mr", [list(block) for block in blocks], LONG, **others)
    fault = r"the series has several acquisitions \(2 that differ in AcquisitionNumber"
    refused(folder, rf"{fault}.*\); choose one by --phase 1 to --phase 2$")


def test_slices_that_differ_where_acquisitions_overlap_are_named(tmp_path):
    folder = acquisitions(tmp_path / "mr", [range(6), range(5, 10)], LONG, brighter=1)
    refused(folder, r"AcquisitionNumber, different slices at one position, t0001\.dcm and t1005\.dcm\); choose one by")


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoTime", ["9", "80"]),
        ("EchoNumbers", [1, 2]),
        ("DiffusionBValue", [0.0, 1000.0]),
        ("ImageType", [["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"]]),
        ("ImageType", [["DERIVED", "SECONDARY", "AXIAL"], ["ORIGINAL", "PRIMARY", "AXIAL"]]),
    ],
)
@pytest.mark.parametrize("first", [(0, 2, 4), (0, 1, 2)])
def test_images_of_two_kinds_at_different_positions_ask_for_a_phase(tmp_path, keyword, values, first):
    def change(header, number):
        setattr(header, keyword, values[number not in first])
        header.InstanceNumber = number

    grid = Grid(shape=(6, 5, 6))
    write_series(tmp_path / "mr", grid, "MR", change=change)
    fault = rf"the series has several kinds of image \(2 that differ in {keyword}\)"
    refused(tmp_path / "mr", f"{fault}; choose one by --phase 1 to --phase 2")
    for phase, places in ((1, first), (2, sorted({*range(6)} - {*first}))):
        headers = source_headers(tmp_path / "mr", "case7", SeriesOptions(phase=phase))
        assert [header.InstanceNumber for header in headers] == list(places)


def test_words_of_how_a_ct_slice_was_acquired_and_rounding_of_echo_times_are_no_kinds(tmp_path):
    def change(header, number):
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", *["ADD"] * (number % 2)]
        header.EchoTime = f"9.80{number}"

    write_series(tmp_path / "ct", change=change)
    assert is_the_phantom(load_series(tmp_path / "ct", "case7"))


def test_a_phase_that_mixes_kinds_is_refused(tmp_path):
    def change(header, place):
        header.EchoTime, header.TriggerTime = 9 if place < 2 else 80, number

    for number in (1, 2):
        write_series(tmp_path / "mr", GRID, "MR", series="1.2.3", prefix=f"t{number}", change=change)
    refused(tmp_path / "mr", r"the phase has several kinds of image \(2 that differ in EchoTime\)", phase=1)


def test_frames_of_mixed_types(tmp_path):
    def change(header):
        for place, groups in enumerate(header.PerFrameFunctionalGroupsSequence):
            kind = Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
            kind.ComplexImageComponent = "PHASE" if place % 2 else "MAGNITUDE"
            groups.MRImageFrameTypeSequence = Sequence([kind])

    write_enhanced(tmp_path / "mr", change=change)
    refused(tmp_path / "mr", r"\(2 that differ in ComplexImageComponent\); choose one by --phase 1 to --phase 2")


def test_frames_of_several_time_points(tmp_path):
    def in_time(header):
        header.NumberOfFrames = 8
        for place, groups in enumerate(header.PerFrameFunctionalGroupsSequence):
            content = Dataset()
            content.TemporalPositionIndex = 2 - place // 4  # the later time point stands first
            groups.FrameContentSequence = Sequence([content])
        raw = np.frombuffer(header.PixelData, "<u2").copy()
        raw[: len(raw) // 2] += 100
        header.PixelData = raw.tobytes()

    write_enhanced(tmp_path / "mr", order=[0, 1, 2, 3, 3, 2, 1, 0], change=in_time)
    refused(
        tmp_path / "mr",
        r"acquisitions \(2 that differ in TemporalPositionIndex\); choose one by --phase 1 to --phase 2",
    )
    assert is_the_phantom(load_series(tmp_path / "mr", "case7", SeriesOptions(phase=1)))
    later = load_series(tmp_path / "mr", "case7", SeriesOptions(phase=2))
    assert np.abs(later.values - GRID.values() - 10).max() < 0.06


def test_source_headers_of_slices_and_frames_follow_the_third_axis_without_pixels(tmp_path):
    write_series(tmp_path / "ct")
    write_enhanced(tmp_path / "mr", order=[2, 0, 3, 1])
    slices, frames = (source_headers(tmp_path / name, "case7") for name in ("ct", "mr"))
    for headers in (slices, frames):
        assert [float(header.ImagePositionPatient[2]) for header in headers] == [100, 102.5, 105, 107.5]
        assert all(header.PixelSpacing == [0.5, 0.8] for header in headers)
        assert not any("PixelData" in header or "PerFrameFunctionalGroupsSequence" in header for header in headers)
        assert headers[0].PatientID == "SECRET-4711", "the writer copies patient and study"
    assert [header.InstanceNumber for header in slices] == [1, 2, 3, 4]
    assert [header.ReferencedFrameNumber for header in frames] == [2, 4, 1, 3]


def test_no_patient_in_any_log_line(tmp_path, caplog, recwarn):
    caplog.set_level(logging.DEBUG)

    def odd(header, number):
        header.PatientWeight = "70"
        header["PatientWeight"]._value = "Secret^Patient"
        header["AccessionNumber"]._value = "SECRET-ACC" * 4
        header["StudyInstanceUID"]._value = "SECRET-STUDY"
        header["PatientBirthDate"]._value = "19010203 SECRET"

    write_series(tmp_path / "ct", change=odd)
    recwarn.clear()
    caplog.clear()
    load_series(tmp_path / "ct", "case7")
    with without_validation:
        for header in source_headers(tmp_path / "ct", "case7"):
            str(header.get("StudyInstanceUID"))
    said = " ".join([*(record.getMessage() for record in caplog.records), *(str(w.message) for w in recwarn.list)])
    assert not re.search("secret|19010203|20240506", said, re.IGNORECASE)
