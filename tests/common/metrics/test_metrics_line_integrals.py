"""Line integrals of boxes and cylinders, whose lengths follow from geometry."""

import nibabel as nib
import numpy as np
import pytest

from common.errors import DataError
from common.metrics.line_integrals import ANGLES, RAY_SPACING_MM, line_integrals


def diagonal(*spacing):
    return np.diag([*spacing, 1.0])


def test_box_has_its_length_along_each_axis_in_cm():
    """10, 14 and 6 voxels of 0.1 / cm: 2 cm from left to right, 2.8 cm from back to front, whatever the height."""
    left_right, back_front = line_integrals(np.full((10, 14, 6), 0.1), diagonal(2, 2, 3))[:: ANGLES // 2]
    assert left_right.max() == pytest.approx(0.1 * 2.0)
    assert back_front.max() == pytest.approx(0.1 * 2.8)


def test_spacing_scales_the_integral():
    """The same voxels: twice the spacing in the plane is twice the length; that between the slices has no effect."""
    volume = np.full((12, 12, 5), 0.096)
    fine, wide = (line_integrals(volume, diagonal(s, s, z)).max(axis=(1, 2)) for s, z in ((4, 4), (8, 5)))
    assert fine[0] == pytest.approx(0.096 * 4.8)
    assert wide[0] == pytest.approx(2 * fine[0])


def test_central_line_of_a_water_cylinder_of_20_cm_is_1_92():
    x, y, _ = np.meshgrid(*[np.arange(-103.5, 104)] * 2, np.zeros(3), indexing="ij")
    rays = line_integrals(np.where(x**2 + y**2 < 100**2, 0.096, 0), diagonal(1, 1, 1))
    middle = rays.shape[1] // 2
    assert rays[:, middle, rays.shape[2] // 2] == pytest.approx(1.92, rel=0.003)
    # The chord at 60 mm from the centre has a length of 2 sqrt(100^2 - 60^2) = 160 mm.
    off_centre = middle + round(60 / RAY_SPACING_MM)
    assert rays[:, off_centre, rays.shape[2] // 2] == pytest.approx(0.096 * 16, rel=0.01)


def test_thick_slices_are_integrated_across_and_not_along():
    """A sagittal series: 5 mm from left to right, 1 mm in the plane; the box has 40 x 30 mm from above."""
    left_right, back_front = line_integrals(np.full((8, 30, 20), 0.1), diagonal(5, 1, 1))[:: ANGLES // 2]
    assert left_right.max() == pytest.approx(0.1 * 4.0)
    assert back_front.max() == pytest.approx(0.1 * 3.0)


@pytest.mark.parametrize("axcodes", ["LPS", "RSA", "PIR", "SAL"])
def test_order_and_direction_of_axes_make_no_difference(axcodes):
    volume = np.random.default_rng(0).uniform(0, 0.15, (9, 11, 7))
    affine = nib.affines.from_matvec(np.diag([3.0, 2.0, 4.0]), [-20, 5, 40])
    ornt = nib.orientations.axcodes2ornt(axcodes)
    other = nib.Nifti1Image(volume, affine).as_reoriented(ornt)
    turned = line_integrals(other.get_fdata(), other.affine)
    straight = line_integrals(volume, affine)
    assert turned.shape == straight.shape
    assert turned == pytest.approx(straight, abs=1e-9)


def test_oblique_grid_sees_the_same_cylinder():
    """An acquisition turned by 20 degrees about the long axis of the body, and one nodded by 20 degrees."""
    sine, cosine = np.sin(np.deg2rad(20)), np.cos(np.deg2rad(20))
    about_z = [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]
    for rotation in (about_z, about_x):
        affine = nib.affines.from_matvec(2 * np.array(rotation), -2 * np.array(rotation) @ [40, 40, 40])
        where = nib.affines.apply_affine(affine, np.moveaxis(np.indices((81, 81, 81)), 0, -1))
        rays = line_integrals(np.where(np.hypot(*where[..., :2].T).T < 50, 0.096, 0), affine)
        centre = rays[:, rays.shape[1] // 2, rays.shape[2] // 2]
        assert centre == pytest.approx(0.96, rel=0.02)


@pytest.mark.parametrize(
    ("affine", "fault"),
    [
        (np.eye(3), r"affine has shape \(3, 3\), not \(4, 4\)"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), r"affine \[1 0 0 0; .*\] is not finite or spans no volume"),
        (np.full((4, 4), np.nan), r"affine \[nan .*\] is not finite or spans no volume"),
    ],
)
def test_unusable_affine_is_refused(affine, fault):
    with pytest.raises(DataError, match=fault):
        line_integrals(np.zeros((2, 2, 2)), affine)
