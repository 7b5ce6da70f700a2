"""Grids of patches, patches around voxels and padding, by hand."""

from __future__ import annotations

import torch

from common.data.datasets.patch_positions import (
    cells,
    grid_start,
    lesions_of,
    padded,
    start_around,
    starts_around,
    voxels_of,
)


def test_a_grid_is_counted_along_the_last_axis_first() -> None:
    assert cells((128, 224, 224), (32, 32, 32)) == (4, 7, 7), "196 patches, as published"
    assert cells((33, 32, 1), (32, 32, 32)) == (2, 1, 1)
    starts = [grid_start(place, (3, 4, 5), (2, 4, 3)) for place in range(4)]
    assert starts == [[0, 0, 0], [0, 0, 3], [2, 0, 0], [2, 0, 3]]


def test_a_patch_around_a_voxel_stays_inside() -> None:
    # voxel (4, 1, 6) of (5, 6, 7) has the flat index 4 * 42 + 1 * 7 + 6
    assert start_around(181, (5, 6, 7), (3, 3, 3)) == [2, 0, 4]  # from [3, 0, 5], whose end is beyond 5 and 7
    assert start_around(2 * 42 + 3 * 7 + 3, (5, 6, 7), (2, 3, 4)) == [1, 2, 1]
    assert start_around(181, (5, 6, 7), (8, 6, 7)) == [0, 0, 0]
    both = starts_around([181, 2 * 42 + 3 * 7 + 3], (5, 6, 7), (3, 3, 3))
    assert [places.tolist() for places in both] == [[2, 1], [0, 2], [4, 2]]


def test_voxels_are_compact_flat_indices() -> None:
    region = torch.zeros(1, 2, 2, 2)
    region[0, 0, 1, 1] = region[0, 1, 0, 1] = 0.5
    found = voxels_of(region)
    assert (found.tolist(), found.dtype) == ([3, 5], torch.int32)
    assert voxels_of(None).tolist() == []


def test_a_lesion_is_a_component_whose_voxels_touch_even_at_corners() -> None:
    region = torch.zeros(1, 3, 3, 4)
    for voxel in ((0, 0, 0), (1, 1, 1), (0, 0, 3), (2, 2, 3)):
        region[(0, *voxel)] = 0.5
    # flat indices x * 12 + y * 4 + z; the first two voxels touch at a corner
    found = lesions_of(region)
    assert [lesion.tolist() for lesion in found] == [[0, 17], [3], [35]]
    assert {lesion.dtype for lesion in found} == {torch.int32}
    assert lesions_of(torch.zeros(1, 2, 2, 2)) == []
    assert lesions_of(None) == []


def test_padding_is_each_channels_background_at_the_ends() -> None:
    volume = torch.tensor([[5.0, -2], [30, 40]]).reshape(2, 1, 1, 2)
    larger = padded(volume, (1, 2, 3), background=True)
    assert larger[0].tolist() == [[[5, -2, -2], [-2, -2, -2]]]
    assert larger[1].tolist() == [[[30, 40, 30], [30, 30, 30]]]
    region = padded(torch.ones(1, 1, 1, 2, dtype=torch.bool), (1, 2, 2), background=False)
    assert region.tolist() == [[[[True, True], [False, False]]]]
    assert padded(volume, (1, 1, 1), background=True) is volume
