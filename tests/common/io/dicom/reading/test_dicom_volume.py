"""Series folders through everything that reads a volume, and real scans against SimpleITK."""

import logging
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import OBLIQUE, Grid, changing, write_enhanced, write_series
from series_readers import by_simpleitk

from common.data.datalist import load_datalist, write_datalist
from common.data.layouts.data_sets import find_cases
from common.data.selection import training_cases
from common.data.sources import inference_cases
from common.errors import DataError, VolumeError
from common.inference import CaseDataset
from common.io import VolumeReader
from common.io.dicom.reading.series import SeriesOptions
from common.io.dicom.reading.volume import load_series
from common.transforms import LoadVolumed

REAL = Path(__file__).parents[5].parent / "shared" / "data" / "dicom"
ON_REQUEST = SeriesOptions(resample_tilt=True)
MOSAIC = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]


def no_phantoms(path):
    raise AssertionError("phantoms are not asked for")


def to_infer(folder, **options):
    return inference_cases(str(folder), "no_demo_data", no_phantoms, **options)


def test_series_folders_and_folders_of_cases_are_cases_named_by_the_folder(tmp_path):
    root = tmp_path / "all"
    for place in ("b", "a", "d/mr"):
        write_series(root / place)
    assert to_infer(root / "a") == [{"case": "a", "image": str(root / "a")}]
    assert [(item["case"], item["image"]) for item in to_infer(root)] == [
        (place[0], str(root / place)) for place in ("a", "b", "d/mr")
    ]


@pytest.fixture
def archive(tmp_path):
    """Nested studies: two MR, one of them a localizer, and a CT."""
    write_series(tmp_path / "all/P1/S1/1", modality="MR")
    write_series(tmp_path / "all/P1/S1/2", modality="CT")
    localizer = changing(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "all/P2/S7/1", modality="MR", change=localizer)
    return tmp_path / "all"


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, ("P1/S1/1", "P1/S1/2", "P2/S7/1")),
        ({"source_modality": "MR"}, ("P1/S1/1",)),
        ({"source_modality": "MR", "accept_modality": True}, ("P1/S1/1", "P1/S1/2", "P2/S7/1")),
    ],
)
def test_series_of_nested_studies_are_cases(archive, options, taken):
    items = to_infer(archive, **options)
    assert [(item["case"], item["image"]) for item in items] == [
        ("_".join(place.split("/")), str(archive / place)) for place in taken
    ]
    accepted = None if options.get("accept_modality") else options.get("source_modality")
    assert {item.get("source_modality") for item in items} == {accepted}


def test_series_that_are_skipped_are_listed_with_the_reason(archive, caplog):
    screen = changing(ImageType=["DERIVED", "SECONDARY"], ImagePositionPatient=None)
    write_series(archive / "P2/S7/2", modality="MR", change=screen)
    with caplog.at_level(logging.INFO):
        to_infer(archive, source_modality="MR")
    files = len(list((archive / "P1/S1/2").iterdir()))
    lines = [message for message in caplog.messages if message.startswith("series: ")]
    assert lines == [
        f"series: P1/S1/1, MR, {files} files: selected",
        f"series: P1/S1/2, CT, {files} files: skipped, no MR",
        f"series: P2/S7/1, MR, {files} files: skipped, a localizer",
        f"series: P2/S7/2, MR, {files} files: skipped, a screen save",
    ]
    assert "1 DICOM series below" in caplog.text
    with pytest.raises(DataError, match=r"no series of PT in .*all, 4 of others \(see above\): pass a PT, or"):
        to_infer(archive, source_modality="PT")


@pytest.mark.parametrize("places", [("a", "b"), ("P1/S1/1", "P1/S1/2")])
def test_a_series_in_two_folders_is_named_and_a_copy_is_a_case_of_its_own(tmp_path, places):
    one, other = (tmp_path / "all" / place for place in places)
    write_series(one, modality="MR", series="1.2.3")
    shutil.copytree(one, other)
    assert len(to_infer(tmp_path / "all")) == 2
    shutil.rmtree(other)
    write_series(other, Grid(origin=(-20, 30, 110)), "MR", series="1.2.3")
    with pytest.raises(DataError, match=f"all: one series lies in two folders, {one} and {other}: put its slices into"):
        to_infer(tmp_path / "all")


def test_cases_of_which_one_lacks_its_file_are_no_nested_studies(tmp_path):
    write_series(tmp_path / "all" / "a" / "mr")
    write_series(tmp_path / "all" / "b" / "t1" / "1")
    with pytest.raises(DataError, match=r"1 file is missing in .* \(b/mr\.nii\.gz\): .*; a folder"
                       r" with a DICOM series is read where it is named so, such as b/mr"):  # fmt: skip
        to_infer(tmp_path / "all")


def test_of_a_flat_folder_of_three_modalities_the_networks_is_inferred(tmp_path):
    grid = Grid(shape=(9, 8, 7))
    for modality, amount in (("MR", 0), ("CT", 50), ("PT", 90)):
        write_series(tmp_path / "all", grid, modality, values=grid.values() + amount, prefix=modality)
    (case,) = CaseDataset(to_infer(tmp_path / "all", source_modality="MR"), LoadVolumed("image"))
    np.testing.assert_allclose(case["image"][0], grid.values(), atol=0.06)
    assert case["image"].meta["modality"] == "MR"
    assert "other files or frames in the folder (14 of other series)" in case["image"].meta["warnings"]
    (several,) = CaseDataset(to_infer(tmp_path / "all"), LoadVolumed("image"))
    assert "several series in the folder (3 series: " in several["failure"]
    assert VolumeReader().extent(tmp_path / "all", "all", modality="MR").values.shape == (9, 8, 7)


@pytest.mark.parametrize("left", [0, 5, 100])
def test_a_slice_cut_to_a_few_bytes_is_named(tmp_path, left):
    write_series(tmp_path / "a", modality="MR")
    last = sorted((tmp_path / "a").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:left])
    (tmp_path / "a" / "notes.txt").write_text("no slice")
    message = rf"a file named like the slices is not DICOM \({last.name}, {left} bytes\); copy or"
    with pytest.raises(VolumeError, match=message):
        VolumeReader().check(tmp_path / "a", "a")


def test_a_mosaic_is_named(tmp_path):
    write_series(tmp_path / "a", modality="MR", change=changing(ImageType=MOSAIC))
    with pytest.raises(VolumeError, match=r"a Siemens mosaic, all slices of a volume in one image \("):
        VolumeReader().check(tmp_path / "a", "a")


def test_mosaic_left_in_the_type_of_frames_with_positions_of_their_own_is_no_mosaic(tmp_path):
    write_enhanced(tmp_path / "a", change=lambda header: setattr(header, "ImageType", MOSAIC))
    volume = VolumeReader().check(tmp_path / "a", "a")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    np.testing.assert_allclose(volume.affine, Grid().affine)


def test_pools_of_series_folders(tmp_path):
    for name in ("a", "b"):
        write_series(tmp_path / "sources" / name, Grid(shape=(9, 9, 9)))
        write_series(tmp_path / "targets" / f"{name}2", Grid(shape=(9, 9, 9)))
    pools = training_cases(
        *(str(tmp_path / "sources"), "none", no_phantoms, str(tmp_path / "run")), target_dir=str(tmp_path / "targets")
    )
    assert [item["image"] for item in pools["training_A"]] == [str(tmp_path / "sources" / name) for name in "ab"]
    assert [item["label"] for item in pools["training_B"]] == [str(tmp_path / "targets" / f"{name}2") for name in "ab"]
    write_datalist({"test": [{"case": "a", "image": str(tmp_path / "sources" / "a")}]}, tmp_path / "list.json")
    assert '"image": "sources/a"' in (tmp_path / "list.json").read_text()
    assert load_datalist(tmp_path / "list.json")["test"][0]["image"] == str(tmp_path / "sources" / "a")


def test_a_pair_of_series_folders_is_a_case_and_a_file_beside_one_is_not_guessed(tmp_path):
    case = tmp_path / "all" / "c1"
    write_series(case / "mr", modality="MR")
    write_series(case / "ct")
    (pair,) = find_cases(tmp_path / "all", "folders")
    assert (pair["case"], pair["image"], pair["label"]) == ("c1", str(case / "mr"), str(case / "ct"))
    (case / "mr.nii.gz").touch()
    with pytest.raises(DataError, match="c1: 'mr' is there twice, .nii.gz and a DICOM folder: remove one"):
        to_infer(tmp_path / "all")


def test_loaded_like_the_same_volume_as_nifti(tmp_path, caplog):
    grid = Grid(orientation=OBLIQUE)
    uid = write_series(tmp_path / "ct", grid)
    (tmp_path / "ct" / "notes.txt").touch()
    volume = load_series(tmp_path / "ct", "a")
    nib.save(nib.Nifti1Image(volume.values, volume.affine), tmp_path / "ct.nii.gz")
    assert [VolumeReader().check(tmp_path / name, "a").unit for name in ("ct", "ct.nii.gz")] == ["HU", None]
    one, other = (LoadVolumed("image")({"image": str(tmp_path / name)})["image"] for name in ("ct", "ct.nii.gz"))
    assert one.shape == (1, 6, 5, 4)
    np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_allclose(one.affine.numpy(), other.affine.numpy(), atol=1e-5)
    np.testing.assert_array_equal(one.meta["original_affine"], volume.affine)
    assert one.meta["filename_or_obj"] == str(tmp_path / "ct")
    assert one.meta["series_uid"] == uid
    assert "series_uid" not in other.meta
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line for line in lines if "other files or frames in the folder (1 not DICOM)" in line] == [lines[0]]


AWKWARD = {
    "failing/notavolume/001": "all slices lie at one position (4 of them); pass the whole series",
    "failing/slicecount/001": (256, 256, 2),
    "failing/sliceincrement/001": "unevenly spaced (gaps from 5 to 10 mm, usually 5 mm, the widest"
    " between slices 3 and 4 of 4",
    "failing/sliceorientation/001": "slices differ in ImageOrientationPatient",
    "ge_anatomical/001_single_slice": "all slices lie at one position (1 of them); pass the whole series",
    "generic/anatomical/001_implicit": (256, 256, 4),
    "generic/anatomical/002_non_isotropic": (64, 28, 4),
    "generic/compressed/001": (256, 256, 4),
    "generic/compressed_j2k/001": (256, 256, 4),
    "generic/compressed_jpeg/001": (256, 256, 4),
    "generic/compressed_jpegls/001": (256, 256, 4),
    "generic/compressed_rle/001": (256, 256, 4),
    "generic/rgb/001": "pixels are not grey values (3 samples a pixel in",
    "siemens_multiframe_anatomical_001": (256, 256, 8),
}
"""What each series of awkward.zip gives: the shape, or why it is refused."""
WHOLE = {
    "ct_head_gantry_tilt": ("gaps from 1.081 to 6.999 mm, usually 4.002 mm", (512, 611, 37), "HU"),
    "mr_t2_axial": ("gaps from 2.5 to 82.5 mm, usually 2.5 mm, the widest between slices 7 and 8 of 24",
                    (384, 512, 56), None),
    "pet_head_neck": ("gaps from 3.375 to 54 mm, usually 10.125 mm", (128, 128, 99), "SUV"),
}  # fmt: skip
"""The other zips are scans with missing slices, or with changes of spacing: why each is refused as it is, and
its shape and unit when resampled."""
EVEN = {
    "tilted_4mm": ("ct_head_gantry_tilt", range(1, 15)),
    "tilted_7mm": ("ct_head_gantry_tilt", range(15, 29)),
    "pet": ("pet_head_neck", range(167, 172)),
}
"""Parts of them whose slices follow each other evenly, by their instance numbers."""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not REAL.is_dir():
        pytest.skip(f"no scans at {REAL}")
    root = tmp_path_factory.mktemp("real")
    for path in REAL.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(root / path.stem)
    return root


@pytest.fixture(scope="module")
def part(real, tmp_path_factory):
    """A function that gives the folder of an even part."""
    root = tmp_path_factory.mktemp("parts")

    def folder(name):
        source, numbers = EVEN[name]
        if not (root / name).is_dir():
            (root / name).mkdir()
            for path in (real / source).glob("*.dcm"):
                if pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber in numbers:
                    (root / name / path.name).write_bytes(path.read_bytes())
        assert len(list((root / name).iterdir())) == len(numbers)
        return root / name

    return folder


@pytest.mark.real
@pytest.mark.parametrize(("name", "wanted"), AWKWARD.items())
def test_awkward_series(real, name, wanted):
    if "jpeg/" in name:
        pytest.importorskip("gdcm")
    folder = real / "awkward" / name
    if isinstance(wanted, str):
        with pytest.raises(VolumeError) as caught:
            load_series(folder, "a")
        assert wanted in str(caught.value)
        return
    volume = load_series(folder, "a")
    assert (volume.values.shape, volume.warnings) == (wanted, ())
    expected = by_simpleitk(folder)
    if name != "generic/anatomical/002_non_isotropic":  # ITK leaves a rescale of MR aside
        np.testing.assert_array_equal(volume.values, expected.get_fdata())
    # the frames' positions are rounded to 1e-3 mm; ITK takes the first and the normal, we the line through all
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-3 if "multiframe" in name else 1e-4)


@pytest.mark.real
@pytest.mark.parametrize(("name", "wanted"), WHOLE.items())
def test_scans_with_gaps_are_refused_and_resampled_on_request(real, name, wanted):
    match, shape, unit = wanted
    with pytest.raises(VolumeError) as caught:
        load_series(real / name, "a")
    assert f"slices are unevenly spaced ({match}" in str(caught.value)
    volume = load_series(real / name, "a", ON_REQUEST)
    assert (volume.values.shape, volume.unit) == (shape, unit)


@pytest.mark.real
def test_pet_is_where_simpleitk_has_it_and_in_suv_by_hand(part):
    volume = load_series(part("pet"), "a")
    stored = by_simpleitk(part("pet"))
    np.testing.assert_allclose(volume.affine, stored.affine, atol=1e-4)
    # 66.2 kg, 381.47 MBq at 11:39:00, half-life 6586.2 s, decay corrected to 13:02:44.678
    factor = 66_200 / (381_470_000 * 2 ** -(5024.678 / 6586.2))
    assert volume.unit == "SUV"
    np.testing.assert_allclose(volume.values, stored.get_fdata() * factor, rtol=1e-5)


@pytest.mark.real
@pytest.mark.parametrize(("name", "tilt"), [("tilted_4mm", "1.339"), ("tilted_7mm", "2.342")])
def test_a_real_tilt_is_refused_and_resampled_like_simpleitk_does_from_the_true_geometry(part, name, tilt):
    sitk = pytest.importorskip("SimpleITK")
    with pytest.raises(VolumeError, match=rf"not stacked along their normal \(tilt of {tilt} mm a slice, 18\.50 deg"):
        load_series(part(name), "a")
    volume = load_series(part(name), "a", ON_REQUEST)
    reader = sitk.ImageSeriesReader()
    reader.SetForceOrthogonalDirection(False)
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(part(name))))
    image = reader.Execute()
    grid = sitk.Image([int(n) for n in volume.values.shape], sitk.sitkFloat32)
    lps = np.diag([-1, -1, 1, 1]) @ volume.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    grid.SetOrigin(lps[:3, 3].tolist())
    grid.SetSpacing(spacing.tolist())
    grid.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    air = sitk.Threshold(sitk.Cast(image, sitk.sitkFloat32), -1499.0, 4000.0, -1000.0)  # its padding is -1500
    wanted = sitk.Resample(air, grid, sitk.Transform(), sitk.sitkLinear, -5000.0)
    wanted = sitk.GetArrayFromImage(wanted).T
    inside = (wanted > -5000) & (volume.values > volume.values.min())
    assert inside.mean() > 0.65
    difference = np.abs(volume.values - wanted)[inside]
    # its coordinates are rounded, so that a bone's edge of 1000 HU may differ by a part of one
    assert difference.max() < 2
    assert difference.mean() < 0.01


@pytest.mark.parametrize("without_meta", [False, True])
def test_a_series_of_an_archive_without_preambles(tmp_path, without_meta):
    write_series(tmp_path / "ct")
    expected = VolumeReader().read(str(tmp_path / "ct"), "ct")
    for path in (tmp_path / "ct").iterdir():
        content = path.read_bytes()
        meta = 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength if without_meta else 0
        path.write_bytes(content[132 + meta :])
    found = VolumeReader().read(str(tmp_path / "ct"), "ct")
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.affine, expected.affine)
