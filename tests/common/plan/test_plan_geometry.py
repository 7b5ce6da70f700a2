from __future__ import annotations

import pytest
from plan_cases import case

from common.plan.geometry import boxes, crop_of, patch_of, plane_of, slices_across, working_spacing


@pytest.mark.parametrize(
    ("spacings", "expected"),
    [
        ([(1, 1, 5), (1, 1, 5)], None),
        ([(1, 1, 5), (1.04, 1, 5), (1, 1, 5)], None),  # within 5 % of the median
        ([(1, 1, 1), (2, 2, 2), (1.5, 1.5, 1.5)], (1.5, 1.5, 1.5)),
        # the coarse axis is five times the finest: the 10th percentile of 2, 5, 5, which is 2 + 0.2 * 3
        ([(1, 1, 2), (1, 1, 5), (1, 1, 5)], (1, 1, 2.6)),
    ],
)
def test_the_working_spacing(spacings, expected):
    assert working_spacing([case(spacing=each) for each in spacings]) == expected


def test_sheared_cases_are_resampled_even_if_alike():
    assert working_spacing([case(spacing=(1, 1, 2)), case(spacing=(1, 1, 2), is_sheared=True)]) == (1, 1, 2)


def test_boxes_and_slices_follow_the_working_spacing():
    thick = case(spacing=(1, 1, 5), box=(60, 70, 10))
    assert boxes([thick], (2, 1, 2.5)).tolist() == [[30, 70, 20]]
    assert slices_across(thick, 2, (2, 1, 2.5)) == 20
    assert slices_across(thick, 2, None) == 10


@pytest.mark.parametrize(
    ("spacing", "own", "expected"),
    [
        ((1, 1, 1), "sagittal", "sagittal"),
        ((1, 1, 2), "sagittal", "sagittal"),  # exactly twice: kept
        ((1, 1, 5), "sagittal", "axial"),
        ((5, 1, 1), "axial", "sagittal"),
        ((1, 5, 1), "axial", "coronal"),
        ((1, 1, 5), "axial", "axial"),
    ],
)
def test_thick_slices_decide_the_plane(spacing, own, expected):
    assert plane_of(spacing, own) == expected


@pytest.mark.parametrize(
    ("extent", "expected"),
    [
        (300, (256, 8)),  # no larger than published
        (256, (256, 8)),
        (210, (256, 8)),  # 22 % wider
        (200, (224, 5)),  # 256 would be 28 % wider
        (120, (128, 7)),
        (96, (96, 5)),
        (90, (96, 5)),
        (40, (48, 4)),
        (20, (32, 5)),  # the smallest that discriminators take
    ],
)
def test_crops(extent, expected):
    assert crop_of(extent, 256, 8) == expected


@pytest.mark.parametrize(
    ("box", "spacing", "expected"),
    [
        ((160, 200, 160), (1, 1, 1), [32, 32, 32]),
        # (32^3 * 5)^(1/3) = 54.7 mm: 55 voxels, 55 voxels, 11 voxels
        ((160, 200, 32), (1, 1, 5), [56, 56, 8]),
        ((20, 33, 160), (1, 1, 1), [24, 32, 32]),  # a small field of view
    ],
)
def test_patches(box, spacing, expected):
    assert patch_of(box, spacing, [32, 32, 32], 8) == expected
