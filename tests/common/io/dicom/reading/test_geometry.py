import numpy as np
import pydicom
import pytest
from dicom_phantom import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    Grid,
    changing,
    refused,
    values_on,
    write_enhanced,
    write_series,
)

from common.grids import is_sheared
from common.io.dicom.reading.series import SeriesOptions
from common.io.dicom.reading.volume import load_series

ON_REQUEST = SeriesOptions(resample_tilt=True)
CT = r"case7 \(ct\): "


def written(folder, grid=None, **options):
    write_series(folder, grid, **options)
    return folder


def phantom_error(volume):
    """The largest difference from the phantom inside the slices' field of view, and the share that lies there."""
    wanted = values_on(volume.affine, volume.values.shape)
    inside = volume.values != volume.values.min()
    return np.abs(volume.values - wanted)[inside].max(), inside.mean()


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("spacing", [(0.8, 0.5, 2.5), (1.25, 3.0, 0.625)])
def test_every_orientation_and_spacing(tmp_path, orientation, spacing):
    grid = Grid(spacing=spacing, orientation=orientation)
    volume = load_series(written(tmp_path / "ct", grid), "case7")
    np.testing.assert_allclose(volume.affine, grid.affine, atol=1e-6)
    np.testing.assert_allclose(volume.values, grid.values(), atol=0.06)


def test_places_are_ras_mm_by_hand(tmp_path):
    # rows are 0.5 mm apart, columns 0.8 mm; LPS (-20, 30, 100) is RAS (20, -30, 100)
    volume = load_series(written(tmp_path / "ct"), "case7")
    assert (volume.affine @ [3, 2, 3, 1])[:3] == pytest.approx([20 - 3 * 0.8, -30 - 2 * 0.5, 100 + 3 * 2.5])
    # 100 + 2 * -17.6 + 3 * 31 + 5 * 107.5
    assert volume.values[3, 2, 3] == pytest.approx(695.3, abs=0.06)


def test_slices_are_in_order_of_place_whatever_their_direction(tmp_path):
    volume = load_series(written(tmp_path / "ct", Grid(step=(0, 0, -2.5))), "case7")
    assert (volume.affine @ [0, 0, 0, 1])[2] == pytest.approx(92.5)
    assert volume.affine[2, 2] == pytest.approx(2.5)
    np.testing.assert_allclose(volume.values, values_on(volume.affine, volume.values.shape), atol=0.06)


@pytest.mark.parametrize("number", [None, 1, -1], ids=["missing", "equal", "reversed"])
def test_instance_numbers_do_not_matter(tmp_path, number):
    def change(header, place):
        changing(InstanceNumber=10 - place if number == -1 else number)(header, place)

    volume = load_series(written(tmp_path / "ct", change=change), "case7")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    np.testing.assert_allclose(volume.affine, Grid().affine, atol=1e-9)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path):
    grid = Grid(spacing=(0.8, 0.5, 1.25))

    def rounded(header, number):
        header.ImagePositionPatient = [f"{value:.1f}" for value in grid.position(number)]

    volume = load_series(written(tmp_path / "ct", grid, change=rounded), "case7")
    np.testing.assert_allclose(volume.affine[2, 2], 1.25, atol=0.05)
    assert phantom_error(volume)[0] < 0.6


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE])
def test_frames_in_any_order_with_slopes_of_their_own(tmp_path, orientation):
    grid = Grid(orientation=orientation)
    write_enhanced(tmp_path / "mr", grid, slopes=[0.1, 0.05, 0.2, 0.125], order=[2, 0, 3, 1])
    volume = load_series(tmp_path / "mr", "case7")
    np.testing.assert_allclose(volume.affine, grid.affine, atol=1e-6)
    np.testing.assert_allclose(volume.values, grid.values(), atol=0.11)


def test_a_missing_slice(tmp_path):
    folder = written(tmp_path / "ct", Grid(shape=(6, 5, 5)))
    (folder / "003.dcm").unlink()
    refused(
        folder,
        CT + r"slices are unevenly spaced \(gaps from 2\.5 to 5 mm, usually 2\.5 mm, the widest between"
        r" slices 2 and 3 of 4: 004\.dcm and 002\.dcm\); find the missing or duplicate slice, or pass --resample_tilt",
    )


def test_a_gantry_tilt(tmp_path):
    folder = written(tmp_path / "ct", Grid(step=(0, 0.5, 2.5)))
    refused(folder, CT + r"slices are not stacked along their normal \(tilt of 0\.5 mm a slice, 11\.31 degrees\)")


@pytest.mark.parametrize(("degrees", "notes"), [("+18.5", 1), ("-0.6", 1), ("0.4", 0), ("0", 0), ("", 0)])
def test_a_tilt_that_positions_do_not_show(tmp_path, degrees, notes):
    volume = load_series(written(tmp_path / "ct", change=changing(GantryDetectorTilt=degrees)), "case7")
    np.testing.assert_allclose(volume.affine, Grid().affine)
    fault = "GantryDetectorTilt, but slices are stacked along their normal"
    assert [note.fault for note in volume.warnings] == [fault] * notes


def test_a_slice_twice(tmp_path):
    folder = written(tmp_path / "ct")
    (folder / "copy.dcm").write_bytes((folder / "002.dcm").read_bytes())
    volume = load_series(folder, "case7")
    np.testing.assert_allclose(volume.values, Grid().values(), atol=0.06)
    assert [str(note) for note in volume.warnings] == [
        "case7 (ct): duplicate slices (1 with identical values: copy.dcm); duplicates are ignored"
    ]


def test_slices_at_one_place_are_compared_in_their_unit(tmp_path):
    """Stored values alone do not say whether two slices are equal."""
    folder = written(tmp_path / "ct")
    twin = pydicom.dcmread(folder / "002.dcm")
    twin.RescaleSlope, own = "0.2", twin.pixel_array
    twin.save_as(folder / "twin.dcm")
    refused(folder, r"different slices at one position \(002\.dcm and twin\.dcm\); keep one")
    twin.RescaleSlope, twin.PixelData = "0.1", (own + 1).astype("<u2").tobytes()
    twin.save_as(folder / "twin.dcm")
    refused(folder, r"different slices at one position \(002\.dcm and twin\.dcm\); keep one")
    twin.RescaleIntercept = "-1000.1"
    twin.save_as(folder / "twin.dcm")
    np.testing.assert_allclose(load_series(folder, "case7").values, Grid().values(), atol=0.06)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"ImagePositionPatient": [-19, 30, 102.5]}, "slices are not stacked along their normal"),
        ({"ImagePositionPatient": [-14, 30, 100]}, r"slices side by side in one plane \(.*, 6\.000 mm apart\)"),
        ({"SeriesInstanceUID": None}, r"a slice has no SeriesInstanceUID \(003\.dcm\)"),
        ({"PixelSpacing": None}, r"a slice has no PixelSpacing \(003\.dcm\)"),
        ({"PixelSpacing": [0.5, 0.9]}, r"slices differ in PixelSpacing \(003\.dcm and "),
        ({"PixelSpacing": [0.5]}, r"PixelSpacing is not 2 finite numbers \(003\.dcm\)"),
        ({"ImageOrientationPatient": list(CORONAL)}, r"slices differ in ImageOrientationPatient \(003\.dcm and "),
        ({"FrameOfReferenceUID": "1.2.9"}, r"slices of several frames of reference \(2 values of"),
        ({"ImagePositionPatient": [0, 0, 1e9]}, r"a slice lies beyond 100000 mm \(1e\+09 mm\)"),
    ],
)
def test_one_slice_unlike_the_others(tmp_path, fields, match):
    refused(written(tmp_path / "ct", change=changing([1], **fields)), CT + match)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        (
            {"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]},
            r"not two unit vectors at right angles \(lengths 2\.0000 and 1\.0000, product 0\.0000",
        ),
        ({"ImageOrientationPatient": [1, 0, 0, 0.6, 0.8, 0]}, r"at right angles \(.* product 0\.6000"),
        ({"PixelSpacing": [0, 0.8]}, r"PixelSpacing is not above 0 and at most 1000 mm \(0 and 0.8"),
        ({"Rows": 0}, r"slices without pixels \(6 x 0\)"),
    ],
)
def test_all_slices_wrong(tmp_path, fields, match):
    refused(written(tmp_path / "ct", change=changing(**fields)), match)


def test_a_single_slice(tmp_path):
    folder = written(tmp_path / "ct", Grid(shape=(6, 5, 1)))
    refused(folder, r"all slices lie at one position \(1 of them\); pass the whole")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda header: delattr(header, "PerFrameFunctionalGroupsSequence"), "4 frames, 0 items in enhanced.dcm"),
        (lambda header: setattr(header, "NumberOfFrames", 2**31 - 1), "2147483647 frames, 4 items"),
        (
            lambda header: delattr(header.PerFrameFunctionalGroupsSequence[2], "PlanePositionSequence"),
            r"a slice has no ImagePositionPatient \(enhanced.dcm, frame 3\)",
        ),
    ],
)
def test_frames_that_are_not_what_their_object_says(tmp_path, change, match):
    write_enhanced(tmp_path / "mr", change=change)
    refused(tmp_path / "mr", match)


def test_a_good_series_is_not_resampled(tmp_path):
    volume = load_series(written(tmp_path / "ct"), "case7", ON_REQUEST)
    np.testing.assert_allclose(volume.affine, Grid().affine, atol=1e-9)
    assert volume.warnings == ()


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE])
def test_a_tilt_is_resampled_exactly(tmp_path, orientation):
    across, down = np.reshape(orientation, (2, 3))
    step = tuple(np.cross(across, down) * 2.5 + down * 0.7 - across * 0.3)
    grid = Grid(shape=(20, 24, 6), orientation=orientation, step=step)
    volume = load_series(written(tmp_path / "ct", grid), "case7", ON_REQUEST)
    # 5 x 0.3 mm of 0.8 mm pixels: 1.875 columns more; 5 x 0.7 mm of 0.5 mm: 7 rows more
    assert volume.values.shape == (22, 31, 6)
    assert not is_sheared(volume.affine)
    error, inside = phantom_error(volume)
    assert error < 0.06
    assert inside > 0.6
    # the first slice begins 1.5 mm along the columns' direction from the grid's first voxel, rounded up to 2 voxels
    corner = grid.affine @ [-2, 0, 0, 1]
    np.testing.assert_allclose(volume.affine[:, 3], corner, atol=1e-6)


def test_what_no_slice_covers_is_background(tmp_path):
    grid = Grid(shape=(6, 5, 3), step=(0, 1.0, 2.5))
    volume = load_series(written(tmp_path / "ct", grid), "case7", ON_REQUEST)
    assert volume.values.shape == (6, 9, 3)
    background = volume.values[:, :, 0].max(axis=0) == volume.values.min()
    assert background.tolist() == [False] * 5 + [True] * 4


def test_uneven_slices_are_resampled_exactly_to_the_usual_gap(tmp_path):
    folder = written(tmp_path / "ct", Grid(shape=(6, 5, 6)))
    (folder / "004.dcm").unlink()
    volume = load_series(folder, "case7", ON_REQUEST)
    assert volume.values.shape == (6, 5, 6)
    np.testing.assert_allclose(volume.affine, Grid().affine, atol=1e-6)
    np.testing.assert_allclose(volume.values, Grid().values()[:, :, :1] + 12.5 * np.arange(6), atol=0.06)
    resampled, missing = volume.warnings
    assert "resampled onto an orthogonal grid of 6 x 5 x 6 voxels, 2.500 mm from slice to slice" in str(resampled)
    assert str(missing) == "case7 (ct): slices are missing, and interpolated (1 of 6); look at them with care"
    assert resampled.severity == missing.severity == "warning"


@pytest.mark.parametrize(("height", "notes"), [(103, 1), (103.75, 1), (107.5, 2)])
def test_slices_are_missing_where_none_lies_within_half_a_step(tmp_path, height, notes):
    """Slices at 100, 102.5, 105 mm, the last at another height."""

    def moved(header, number):
        if number == 3:
            header.ImagePositionPatient = [-20, 30, height + 2.5]

    volume = load_series(written(tmp_path / "ct", Grid(shape=(6, 5, 4)), change=moved), "case7", ON_REQUEST)
    assert len(volume.warnings) == notes


def test_a_slice_gone_astray_does_not_fill_the_memory(tmp_path):
    folder = written(tmp_path / "ct", change=changing([3], ImagePositionPatient=[-20, 30, 90000]))
    refused(folder, r"over 10 times the voxels of the series \(6 x 5 x 35961 from 4 slices\)", resample_tilt=True)
