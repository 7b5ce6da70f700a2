"""Derived series as written: UIDs, references, conformance, and what five readers make of them."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import CORONAL, OBLIQUE, SAGITTAL, Grid, changing, write_enhanced, write_series
from pydicom.uid import ExplicitVRLittleEndian
from series_readers import READERS

from common.io.dicom.reading.series import SeriesOptions, source_headers
from common.io.dicom.reading.volume import load_series
from common.io.dicom.writing.derived import derived_slices, is_derived_series, write_slices
from common.io.dicom.writing.source_reference import reference_of_file, reference_of_series
from common.io.dicom.writing.template import MapOf, Synthesis

REAL = Path(__file__).resolve().parents[6] / "shared" / "data" / "dicom"
MODALITIES = ("CT", "MR", "PT")
ROTATION = nib.eulerangles.euler2mat(0.1, -0.2, 0.3)
GRIDS = {
    "anisotropic": Grid(),
    "square": Grid(spacing=(1, 1, 1)),
    "sagittal": Grid(orientation=SAGITTAL),
    "coronal": Grid(orientation=CORONAL),
    "oblique": Grid(orientation=OBLIQUE, spacing=(0.7, 1.3, 1 / 3)),
}
FILES = {
    "axial": ROTATION * [1.1, 0.9, 2.3],
    "flipped": ROTATION * [-1.1, 0.9, 2.3],
    "sagittal": (ROTATION * [1.1, -0.9, 2.3])[:, [1, 2, 0]],
}


def synthesis(modality="CT", weights="ab" * 32):
    moment = datetime(2025, 3, 4, 5, 6, 7)
    return Synthesis(modality, "u", "mr2ct_pix2pix 0.1.0", weights, moment, (4000.0, 90.0))


def random_values(shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1700, shape)


def series_origin(folder, grid, modality="MR"):
    write_series(folder, grid, modality)
    return reference_of_series(source_headers(folder, "a"), "a")


def file_origin(folder):
    (folder / "source.nii").write_bytes(b"any file")
    return reference_of_file(folder / "source.nii")


def write(folder, values, affine, origin, made=None, axial=False):
    made = made or synthesis()
    slices, pixels = derived_slices(values, affine, origin, made, axial, "case_1")
    folder.mkdir()
    write_slices(slices, folder)
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())], pixels


def assert_reads_back(reader, folder, values, affine, pixels):
    """Same affine to 1e-4 mm and values to half a step; both put in the order closest to RAS, as readers choose one."""
    read = nib.as_closest_canonical(reader(folder))
    expected = nib.as_closest_canonical(nib.Nifti1Image(values, affine))
    np.testing.assert_allclose(read.affine, expected.affine, rtol=0, atol=1e-4)
    factor = pixels.unit_per_step if pixels.slope is None else 1
    difference = np.abs(read.get_fdata() * factor - expected.get_fdata())
    assert difference.max() <= 0.505 * pixels.unit_per_step  # dcm2niix has the slope in single precision
    assert difference.max() > 0.4 * pixels.unit_per_step, "so many random values come close to the limit"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("modality", "axes"), zip(MODALITIES, FILES, strict=True))
def test_round_trip_of_a_file(tmp_path, reader, modality, axes):
    affine = nib.affines.from_matvec(FILES[axes], [7.7, -8.8, 9.9])
    values = random_values((6, 7, 5))
    _, pixels = write(tmp_path / "out", values, affine, file_origin(tmp_path), synthesis(modality), axial=True)
    assert_reads_back(READERS[reader], tmp_path / "out", values, affine, pixels)
    assert is_derived_series(tmp_path / "out")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axial", [False, True])
def test_round_trip_of_a_series(tmp_path, reader, grid, axial):
    shape, affine = GRIDS[grid].shape, GRIDS[grid].affine
    values = random_values(shape)
    origin = series_origin(tmp_path / "in", GRIDS[grid])
    _, pixels = write(tmp_path / "out", values, affine, origin, axial=axial)
    assert_reads_back(READERS[reader], tmp_path / "out", values, affine, pixels)
    assert is_derived_series(tmp_path / "out")


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("source", ["file", "series", "enhanced", "sagittal", "minimal"])
def test_conforms(tmp_path, conformance_errors, modality, source):
    """A volume without and with the times of a sequence, and its map."""
    grid = GRIDS["sagittal" if source == "sagittal" else "oblique"]
    if source == "file":
        origin = file_origin(tmp_path)
    elif source == "enhanced":
        write_enhanced(tmp_path / "in", grid)
        origin = reference_of_series(source_headers(tmp_path / "in", "a"), "a")
    else:
        change = reduced if source == "minimal" else lambda header, number: None
        write_series(tmp_path / "in", grid, "MR", change=change)
        origin = reference_of_series(source_headers(tmp_path / "in", "a"), "a")
    made = replace(synthesis(modality), verdict="review", quality="quality: review; the head is tilted")
    slices, _ = write(tmp_path / "untimed", random_values(grid.shape), grid.affine, origin, replace(made, timing=None))
    of_map = replace(made, map_of=MapOf(str(slices[0].SeriesInstanceUID), "90% of voxels in 90% of cases"))
    write(tmp_path / "timed", random_values(grid.shape), grid.affine, origin, made)
    write(tmp_path / "map", random_values(grid.shape), grid.affine, origin, of_map)
    for name in ("untimed", "timed", "map"):
        assert conformance_errors(tmp_path / name) == []


def reduced(header, number):
    """Remove what the reading of a series does without: patient, study, frame of reference, equipment."""
    geometry = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    kept = (*geometry, "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality")
    for each in list(header):
        if each.tag.group < 0x0028 and each.keyword not in kept:
            del header[each.tag]


def test_files_are_named_and_encoded_as_promised(tmp_path):
    values = np.arange(24.0).reshape(2, 3, 4)
    affine, origin = np.diag([-1.0, -1, 1, 1]), file_origin(tmp_path)
    slices, _ = write(tmp_path / "out", values, affine, origin, axial=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"IM000{n}.dcm" for n in (1, 2, 3, 4)]
    for number, each in enumerate(slices, start=1):
        assert each.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert each.file_meta.MediaStorageSOPInstanceUID == each.SOPInstanceUID
        assert each.file_meta.MediaStorageSOPClassUID == each.SOPClassUID
        assert each.InstanceNumber == number
        assert (each.Columns, each.Rows) == (2, 3)
    assert slices[1].pixel_array.tolist() == [[1, 13], [5, 17], [9, 21]], "pixels go by rows"
    slices, _ = write(tmp_path / "pet", values, affine, origin, synthesis("PT"))
    assert [(each.ImageIndex, each.NumberOfSlices) for each in slices] == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("charset", "name", "write_source"),
    [
        ("ISO_IR 100", "Müller^Jürgen", write_series),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", write_series),
        ("ISO_IR 144", "Люкceмбypг", write_enhanced),
    ],
)
def test_text_is_unicode_whatever_the_source_s_was(tmp_path, conformance_errors, charset, name, write_source):
    def named(header, number=0):
        header.SpecificCharacterSet, header.PatientName, header.ReferringPhysicianName = charset, name, name

    write_source(tmp_path / "in", Grid(), change=named)
    origin = reference_of_series(source_headers(tmp_path / "in", "a"), "a")
    slices, _ = write(tmp_path / "out", random_values(Grid().shape), Grid().affine, origin)
    assert {(str(each.PatientName), str(each.ReferringPhysicianName)) for each in slices} == {(name, name)}
    assert name.encode() in (tmp_path / "out" / "IM0001.dcm").read_bytes()
    assert conformance_errors(tmp_path / "out") == []


class TestUids:
    def uids(self, folder, values=None, grid=None, made=None):
        grid = grid or Grid()
        values = random_values(grid.shape) if values is None else values
        write_series(folder / "in", grid, "MR", series="1.2.3")
        headers = source_headers(folder / "in", "a")
        slices, _ = derived_slices(
            values, grid.affine, reference_of_series(headers, "a"), made or synthesis(), False, "a"
        )
        assert {each.StudyInstanceUID for each in slices} == {headers[0].StudyInstanceUID}
        assert {each.FrameOfReferenceUID for each in slices} == {headers[0].FrameOfReferenceUID}
        assert len({each.SOPInstanceUID for each in slices}) == len(slices)
        assert headers[0].SeriesInstanceUID != slices[0].SeriesInstanceUID
        return [str(each.SOPInstanceUID) for each in slices] + [str(slices[0].SeriesInstanceUID)]

    def test_a_repeated_run_has_the_same_ones_at_any_time(self, tmp_path):
        later = replace(synthesis(), moment=datetime(2030, 1, 1))
        assert self.uids(tmp_path / "a") == self.uids(tmp_path / "b", made=later)

    @pytest.mark.parametrize(
        "other",
        [
            {"made": synthesis(weights="cd" * 32)},
            {"made": replace(synthesis(), bundle="mr2ct_pix2pix 0.2.0")},
            {"made": synthesis("MR")},
            {"values": random_values(Grid().shape, seed=1)},
            {"grid": replace(Grid(), origin=(-20.0, 30.0, 101.0))},
        ],
    )
    def test_anything_else_has_others(self, tmp_path, other):
        assert set(self.uids(tmp_path / "a")).isdisjoint(self.uids(tmp_path / "b", **other))


class TestReferences:
    def test_each_slice_refers_to_its_own(self, tmp_path):
        grid = GRIDS["oblique"]
        origin = series_origin(tmp_path / "in", grid)
        headers = source_headers(tmp_path / "in", "a")
        slices, _ = derived_slices(random_values(grid.shape), grid.affine, origin, synthesis(), False, "a")
        for each, header in zip(slices, headers, strict=True):
            (item,) = each.SourceImageSequence
            assert item.ReferencedSOPInstanceUID == header.SOPInstanceUID
            assert item.ReferencedSOPClassUID == header.SOPClassUID
            assert "ReferencedFrameNumber" not in item
            code = item.PurposeOfReferenceCodeSequence[0]
            assert (code.CodeValue, code.CodingSchemeDesignator) == ("121322", "DCM")
            assert code.CodeMeaning == "Source of Image Processing Operation"
            np.testing.assert_allclose(each.ImagePositionPatient, header.ImagePositionPatient, atol=1e-8)

    def test_frames_by_their_numbers(self, tmp_path):
        write_enhanced(tmp_path / "in", Grid(), order=[2, 0, 3, 1])
        origin = reference_of_series(source_headers(tmp_path / "in", "a"), "a")
        slices, _ = derived_slices(random_values(Grid().shape), Grid().affine, origin, synthesis(), False, "a")
        assert [each.SourceImageSequence[0].ReferencedFrameNumber for each in slices] == [2, 4, 1, 3]

    def test_a_map_refers_to_its_volume_and_its_source(self, tmp_path):
        grid = GRIDS["oblique"]
        origin, values = series_origin(tmp_path, grid), random_values(grid.shape)
        volume, _ = derived_slices(values, grid.affine, origin, synthesis(), False, "a")
        of = MapOf(str(volume[0].SeriesInstanceUID), "90% of voxels in 90% of cases")
        slices, _ = derived_slices(values, grid.affine, origin, replace(synthesis(), map_of=of), False, "a")
        for own, each in zip(volume, slices, strict=True):
            (instance,) = each.ReferencedImageSequence
            assert instance.ReferencedSOPInstanceUID == own.SOPInstanceUID != each.SOPInstanceUID
            assert instance.ReferencedSOPClassUID == own.SOPClassUID
            (source,) = each.SourceImageSequence
            assert {
                series.SeriesInstanceUID: [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence]
                for series in each.ReferencedSeriesSequence
            } == {own.SeriesInstanceUID: [own.SOPInstanceUID], origin.uid: [source.ReferencedSOPInstanceUID]}
            for keyword in ("FrameOfReferenceUID", "StudyInstanceUID", "ImagePositionPatient", "SourceImageSequence"):
                assert each[keyword].value == own[keyword].value

    def test_axial_slices_of_a_sagittal_series_refer_to_all_and_those_of_a_file_to_none(self, tmp_path):
        grid = GRIDS["sagittal"]
        values = random_values(grid.shape)
        slices, _ = derived_slices(values, grid.affine, series_origin(tmp_path, grid), synthesis(), True, "a")
        assert {len(each.SourceImageSequence) for each in slices} == {4}
        slices, _ = derived_slices(values, grid.affine, file_origin(tmp_path), synthesis(), True, "a")
        assert all("SourceImageSequence" not in each for each in slices)

    def test_resampled_slices_refer_to_the_nearest(self, tmp_path):
        origin = series_origin(tmp_path, Grid(step=(0, 0.6, 2.5)))  # a gantry tilt of 13 degrees
        values = random_values((6, 10, 8))
        affine = np.diag([-0.8, -0.5, 1.25, 1.0])  # twice as many slices, at right angles
        affine[:3, 3] = 20, -30, 100
        slices, _ = derived_slices(values, affine, origin, synthesis(), False, "a")
        uids = [each.instance_uid for each in origin.slices]
        found = [uids.index(each.SourceImageSequence[0].ReferencedSOPInstanceUID) for each in slices]
        assert found == [0, 0, 1, 1, 2, 2, 3, 3]


def real(name, folder):
    """The folder of a real series."""
    if not (REAL / f"{name}.zip").is_file():
        pytest.skip("the real scans are not at hand")
    ZipFile(REAL / f"{name}.zip").extractall(folder)
    (found,) = {path.parent for path in folder.rglob("*.dcm")}
    return found


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "modality"),
    [
        *(("mr_t2_axial", "CT"), ("mr_t2_axial", "PT"), ("pet_head_neck", "CT"), ("pet_head_neck", "MR")),
        ("ct_head_gantry_tilt", "CT"),
    ],
)
def test_series_derived_from_real_scans_on_a_resampled_grid(tmp_path, conformance_errors, name, modality):
    folder = real(name, tmp_path / "in")
    volume = load_series(folder, "a", SeriesOptions(resample_tilt=True))
    values = random_values(volume.values.shape)[:60, :70, :9]
    origin = reference_of_series(source_headers(folder, "a"), "a")
    slices, pixels = write(tmp_path / "out", values, volume.affine, origin, synthesis(modality))
    assert conformance_errors(tmp_path / "out") == []
    normal = origin.slices[0].normal
    heights = {each.instance_uid: each.position @ normal for each in origin.slices}
    for each in slices:
        own = np.array(each.ImagePositionPatient, float) @ normal
        (item,) = each.SourceImageSequence
        distance = abs(heights[item.ReferencedSOPInstanceUID] - own)
        assert distance == pytest.approx(min(abs(height - own) for height in heights.values()))
    for reader in READERS.values():
        assert_reads_back(reader, tmp_path / "out", values, volume.affine, pixels)


def edited(keyword, value):
    def edit(folder):
        header = pydicom.dcmread(folder / "IM0003.dcm")
        changing(**{keyword: value})(header, 0)
        header.save_as(folder / "IM0003.dcm")

    return edit


def scan(folder):
    write_series(folder.parent / "scan", Grid(), "CT")
    (folder.parent / "scan" / "001.dcm").rename(folder / "IM0007.dcm")


FOREIGN = {
    "notes": lambda folder: (folder / "notes.txt").write_text("mine"),
    "another name": lambda folder: (folder / "IM0003.dcm").rename(folder / "copy.dcm"),
    "a folder": lambda folder: (folder / "IM0007.dcm").mkdir(),
    "a link": lambda folder: (folder / "IM0007.dcm").symlink_to(folder / "IM0001.dcm"),
    "an empty file": lambda folder: (folder / "IM0007.dcm").touch(),
    "no DICOM": lambda folder: (folder / "IM0003.dcm").write_text("mine" * 100),
    "a scan": scan,
    "of another maker": edited("Manufacturer", "another project"),
    "without the mark": edited("SyntheticData", None),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_series_with_anything_else_is_not_this_project_s(tmp_path, what):
    write(tmp_path / "made", random_values((4, 5, 6)), np.eye(4), file_origin(tmp_path))
    FOREIGN[what](tmp_path / "made")
    assert not is_derived_series(tmp_path / "made")
