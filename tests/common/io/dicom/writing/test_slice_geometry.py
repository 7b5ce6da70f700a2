"""Order and place of slices, by literals and by the value that each point in space keeps."""

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import values_on

from common.errors import OutputError
from common.grids import LPS_TO_RAS
from common.io.dicom.writing.slice_geometry import nearest_slices, plane_items, to_planes

ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) * [1.1, 0.9, 2.3], [7.7, -8.8, 9.9])
SHAPE = (3, 4, 5)
ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "ASL", "SRP", "IPL"]


@pytest.mark.parametrize("axcodes", ORIENTATIONS)
def test_axial_order_from_any_orientation_keeps_every_value_at_its_place(axcodes):
    image = nib.Nifti1Image(np.zeros(SHAPE), ROTATED)
    turn = nib.orientations.ornt_transform(nib.io_orientation(ROTATED), nib.orientations.axcodes2ornt(axcodes))
    image = image.as_reoriented(turn)
    values, lps = to_planes(values_on(image.affine, image.shape), image.affine, True, "a")
    assert values.shape == SHAPE
    assert nib.aff2axcodes(LPS_TO_RAS @ lps) == ("L", "P", "S")
    np.testing.assert_allclose(values, values_on(LPS_TO_RAS @ lps, values.shape), atol=1e-9)


def test_the_source_s_own_order_is_kept_unless_axial_is_asked_for():
    sagittal = np.array([[0, 0, 4.0, 1], [2, 0, 0, 2], [0, -3, 0, 3], [0, 0, 0, 1]])
    values = values_on(sagittal, SHAPE)
    kept, lps = to_planes(values, sagittal, False, "a")
    assert kept is values
    np.testing.assert_allclose(lps, [[0, 0, -4, -1], [-2, 0, 0, -2], [0, -3, 0, 3], [0, 0, 0, 1]], atol=1e-12)
    turned, _ = to_planes(values, sagittal, True, "a")
    assert turned.shape == (5, 3, 4)


def test_items_of_a_slice_by_hand():
    affine = np.array([[0, 0, 2.5, -1], [0.5, 0, 0, 20], [0, -0.75, 0, 1 / 3], [0, 0, 0, 1]])
    items = plane_items(affine, 3)
    assert items.ImagePositionPatient == [6.5, 20, 0.3333333333]
    assert items.ImageOrientationPatient == [0, 1, 0, 0, 0, -1]
    assert items.PixelSpacing == [0.75, 0.5], "between rows first"
    assert items.SliceThickness == items.SpacingBetweenSlices == 2.5


@pytest.mark.parametrize(
    ("affine", "value"),
    [
        (np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), r"affine \[1 0.1 0 0; "),
        (np.diag([1.0, 0, 1, 1]), r"affine \[1 0 0 0; 0 0 0 0; "),
    ],
)
def test_axes_that_are_not_at_right_angles_are_refused(affine, value):
    with pytest.raises(OutputError, match="case_1: axes of the source grid are not at right angles, " + value):
        to_planes(np.zeros(SHAPE), affine, True, "case_1")


SHEARED = np.eye(4)
SHEARED[0, 1] = 9e-4
"""x += c y: the nearest right angle turns both axes by c / 2, so that voxels beside the centre move by that."""


def test_a_small_shear_is_taken_out_and_logged_and_moves_a_large_volume_too_far(caplog):
    _, lps = to_planes(np.zeros((101, 101, 1)), SHEARED, False, "case_1")
    axes = lps[:3, :3]
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(axes[:2, :2], [[-1, -4.5e-4], [4.5e-4, -1]], atol=1e-6)
    centre = [50, 50, 0, 1]
    np.testing.assert_allclose(lps @ centre, LPS_TO_RAS @ SHEARED @ centre, atol=1e-9)
    assert "case_1: axes put at right angles for DICOM, which moves voxels by up to 0.032 mm" in caplog.text
    with pytest.raises(OutputError, match="axes of the source grid are not at right angles"):
        to_planes(np.zeros((401, 401, 1)), SHEARED, False, "case_1")


def test_the_nearest_slice_is_found_where_normals_point_the_other_way():
    positions = np.array([[0, 0, 0], [0, 1, 2.0], [0, 2, 4.0]])  # sheared, as by a gantry tilt
    normals = np.tile([0, 0, -1.0], (3, 1))
    assert nearest_slices(np.diag([1, 1, 2.0, 1]), 2, positions, normals) == [2]
