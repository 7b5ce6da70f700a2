"""Grids of patches, patches around voxels and padding, by hand."""

from __future__ import annotations

import torch

from common.data.datasets.patch_positions import (
    lesions_of,
    padded,
)


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
