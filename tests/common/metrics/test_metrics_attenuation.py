"""Attenuation at 511 keV by the published table, line integrals by geometry, and their errors by arithmetic."""

from __future__ import annotations

import math
from functools import partial

import nibabel as nib
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.metrics.attenuation import (
    BONE_LINES,
    attenuation_errors,
    attenuation_scores,
    class_attenuation,
    linear_attenuation,
    ray_errors,
)
from common.metrics.line_integrals import ANGLES, RAY_SPACING_MM, line_integrals

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
NAMES = ("attenuation_mae", "attenuation_error", "attenuation_p95", "attenuation_bias", "acf_error", "acf_bias")


def box(hu):
    """CT (20, 24, 10) of a box of 64 x 80 x 40 mm in air, and its mask."""
    mask = np.zeros((20, 24, 10))
    mask[2:18, 2:22] = 1
    return np.where(mask, float(hu), -1000.0), mask


@pytest.mark.parametrize("kvp", sorted(BONE_LINES))
def test_air_and_water_are_the_same_for_every_voltage(kvp):
    assert linear_attenuation([-3024, -1024, -1000, -500, 0], kvp) == pytest.approx([0, 0, 0, 0.048, 0.096])


@pytest.mark.parametrize(
    ("kvp", "expected"),
    [(80, 0.1354), (100, 0.143), (110, 0.1472), (120, 0.1491), (130, 0.1526), (140, 0.1536)],
)
def test_bone_of_1000_hu_by_the_published_line(kvp, expected):
    """Slope times 2000 plus offset; at 120 kVp 5.10e-5 x 2000 + 0.0471."""
    assert linear_attenuation(1000, kvp) == pytest.approx(expected)


@pytest.mark.parametrize(("kvp", "point"), [(80, 50), (100, 52), (110, 43), (120, 47), (130, 37), (140, 30)])
def test_lines_meet_at_the_published_break_point(kvp, point):
    """Continuous and rising, with the water line below and the bone line above the published HU."""
    hu = np.linspace(-1000, 3000, 40_001)
    rises = np.diff(linear_attenuation(hu, kvp)) / 0.1
    assert rises.min() > 0
    assert rises.max() == pytest.approx(9.6e-5)
    assert hu[:-1][rises < 9.0e-5].min() == pytest.approx(point, abs=0.5)


def test_classes_begin_at_their_thresholds():
    hu = [-1000, -501, -500, -31, -30, 249, 250, 3000]
    assert class_attenuation(hu).tolist() == [0, 0, 0.086, 0.086, 0.1, 0.1, 0.151, 0.151]
    assert class_attenuation([100, 249], bone_hu=100).tolist() == [0.151, 0.151]


def test_shift_of_water_by_100_hu_below_zero():
    """mu is 0.9 x that of water, on every ray: 10 % of the integral."""
    truth, mask = box(0)
    errors = attenuation_errors(truth - 100, truth, mask, AFFINE)["synthetic"]
    for name in ("attenuation_error", "attenuation_p95"):
        assert errors[name] == pytest.approx(10)
    assert errors["attenuation_bias"] == pytest.approx(-10)
    # The longest line of any direction is the diagonal of 102 mm, so that its factor is at least exp(-0.1 x 0.984).
    assert -100 * (1 - math.exp(-0.0984)) < errors["acf_bias"] < 0
    assert errors["acf_error"] == -errors["acf_bias"]


def test_errors_of_four_rays_by_arithmetic():
    """The first one only grazes the head."""
    errors = ray_errors([9.0, 0.22, 0.4, 0.72], [0.05, 0.2, 0.4, 0.8])
    assert errors == pytest.approx(
        {
            "attenuation_mae": (0.02 + 0 + 0.08) / 3,
            "attenuation_error": (10 + 0 + 10) / 3,
            "attenuation_p95": 10,
            "attenuation_bias": 0,
            "acf_error": 100 * (math.exp(0.02) - 1 + 1 - math.exp(-0.08)) / 3,
            "acf_bias": 100 * (math.exp(0.02) - 1 + math.exp(-0.08) - 1) / 3,
        },
        abs=1e-12,
    )


def test_water_phantom_is_uniform_water():
    truth, mask = box(0)
    errors = attenuation_errors(truth, truth, mask, AFFINE)
    assert errors["water"] == pytest.approx(dict.fromkeys(NAMES, 0.0), abs=1e-12)
    # The class of water is soft tissue of 0.1 / cm.
    assert errors["classes"]["attenuation_bias"] == pytest.approx(100 * (0.1 / 0.096 - 1))


def test_bone_rod_that_is_missed():
    """A rod of 16 x 16 mm along the axis of a box 64 mm wide: the line through it lacks 1.6 cm (0.1491 - 0.096)."""
    truth, mask = box(0)
    truth[8:12, 10:14] = 1000
    missed, mask = box(0)
    errors = attenuation_errors(missed, truth, mask, AFFINE)
    assert errors["synthetic"] == errors["water"]
    worst = 1.6 * (0.1491 - 0.096) / (4.8 * 0.096 + 1.6 * 0.1491)
    assert errors["water"]["attenuation_bias"] == -errors["water"]["attenuation_error"]
    assert 0 < errors["water"]["attenuation_error"] < errors["water"]["attenuation_p95"] < 100 * worst + 0.5
    # By its class (0.151) the rod is nearly right, and water is 4 % too high: that of the other 4.8 cm dominates.
    assert errors["classes"]["attenuation_bias"] == pytest.approx(100 * (0.1 / 0.096 - 1), abs=1)


def test_nothing_outside_the_mask_counts():
    truth, mask = box(30)
    table, other = truth.copy(), truth.copy()
    table[:, 23], other[0] = 400, 2000
    assert attenuation_errors(other, table, mask, AFFINE)["synthetic"] == dict.fromkeys(NAMES, 0.0)


def test_mask_in_air_has_no_rays():
    truth, mask = box(-1000)
    assert all(math.isnan(value) for value in attenuation_scores(truth, truth, mask, AFFINE).values())


def test_scores_name_the_references_and_need_hu():
    truth, mask = box(0)
    scores = attenuation_scores(truth - 100, truth, mask, AFFINE)
    references = {f"{name}_{each}" for name in ("attenuation_error", "acf_error") for each in ("water", "classes")}
    assert set(scores) == {*NAMES, *references}
    assert scores["attenuation_error"] == pytest.approx(10)
    assert scores["attenuation_error_water"] == pytest.approx(0, abs=1e-9)
    assert scores["attenuation_error_classes"] == pytest.approx(100 * (0.1 / 0.096 - 1))
    assert attenuation_scores(truth, truth, mask, AFFINE, unit="a.u.") == {}
    stripped = np.where(truth > 0, truth, 0)
    assert attenuation_scores(stripped, stripped, mask, AFFINE) == {}, "told by a warning, and the other metrics go on"


def test_voltage_changes_the_error_of_bone_only():
    truth, mask = box(1000)
    low, high = (attenuation_scores(truth - 1000, truth, mask, AFFINE, kvp=kvp) for kvp in (80, 140))
    assert low["attenuation_error"] == pytest.approx(100 * (1 - 0.096 / 0.1354))
    assert high["attenuation_error"] == pytest.approx(100 * (1 - 0.096 / 0.1536))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (partial(linear_attenuation, [0.0], 90), ConfigError, "--kvp is 90: choose 80, 100, "),
        (partial(linear_attenuation, [math.inf]), DataError, "CT has NaN or infinite voxels"),
        (partial(class_attenuation, [math.nan]), DataError, "CT has NaN or infinite voxels"),
        (partial(class_attenuation, [0.0], -30), ConfigError, "bone_hu is -30, not above -30"),
    ],
)
def test_unusable_value_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": box(0)[0] / 500}, r"truth is not a CT in HU \(its lowest value is -2, not below -30"),
        ({"truth": box(0)[0] + 1024}, r"truth is not a CT in HU \(its lowest value is 24, not below -30"),
        ({"affine": np.zeros((4, 4))}, "affine .* is not finite or spans no volume"),
        (dict.fromkeys(("pred", "truth", "mask"), np.ones((4, 4))), "truth has 2 dimensions, not 3"),
    ],
)
def test_unusable_volume_is_refused(change, message):
    truth, mask = box(0)
    with pytest.raises(DataError, match=message):
        attenuation_errors(**{"pred": truth, "truth": truth, "mask": mask, "affine": AFFINE} | change)


def diagonal(*spacing):
    return np.diag([*spacing, 1.0])


@pytest.mark.parametrize(
    ("shape", "spacing", "lengths"),
    [((10, 14, 6), (2, 2, 3), (2.0, 2.8)), ((8, 30, 20), (5, 1, 1), (4.0, 3.0))],
    ids=["axial", "sagittal series"],
)
def test_box_has_its_length_along_each_axis_in_cm(shape, spacing, lengths):
    """Of 0.1 / cm, from left to right and from back to front, whatever the height and the thickness of slices."""
    left_right, back_front = line_integrals(np.full(shape, 0.1), diagonal(*spacing))[:: ANGLES // 2]
    assert (left_right.max(), back_front.max()) == pytest.approx((0.1 * lengths[0], 0.1 * lengths[1]))


def test_central_line_of_a_water_cylinder_of_20_cm_is_1_92():
    x, y, _ = np.meshgrid(*[np.arange(-103.5, 104)] * 2, np.zeros(3), indexing="ij")
    rays = line_integrals(np.where(x**2 + y**2 < 100**2, 0.096, 0), diagonal(1, 1, 1))
    middle = rays.shape[1] // 2
    assert rays[:, middle, rays.shape[2] // 2] == pytest.approx(1.92, rel=0.003)
    # The chord at 60 mm from the centre has a length of 2 sqrt(100^2 - 60^2) = 160 mm.
    off_centre = middle + round(60 / RAY_SPACING_MM)
    assert rays[:, off_centre, rays.shape[2] // 2] == pytest.approx(0.096 * 16, rel=0.01)


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
