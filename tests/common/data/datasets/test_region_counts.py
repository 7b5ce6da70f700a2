"""Expected voxels of regions in a patch: a line of six voxels by hand, volumes by counting every place."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from common.data.datasets.region_counts import disjoint, expected_counts


def line(*voxels: int) -> torch.Tensor:
    """Six voxels along Z, (1, 1, 1, 6)."""
    marked = torch.zeros(6, dtype=torch.bool)
    marked[list(voxels)] = True
    return marked.reshape(1, 1, 1, 6)


def test_a_voxel_of_several_regions_belongs_to_the_first() -> None:
    parts = disjoint([line(1), line(1, 2, 3)])
    assert [part.flatten().nonzero().flatten().tolist() for part in parts] == [[1], [2, 3], [0, 4, 5]]


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        # the patches of two voxels at 0 to 4 hold 0, 1, 2, 1, 0 of the voxels 2 and 3
        ([(1.0, None)], [0.8, 1.2]),
        # around voxel 3 lie 2 and 3; around voxel 0, shifted inside, 0 and 1
        ([(1.0, torch.tensor([3]))], [2, 0]),
        ([(1.0, torch.tensor([3, 0]))], [1, 1]),
        ([(0.5, torch.tensor([3])), (0.25, torch.tensor([0])), (0.25, None)], [1.2, 0.8]),
    ],
    ids=["anywhere", "on the region", "two centres", "shares"],
)
def test_counts_by_hand(draws: list, expected: list[float]) -> None:
    found = expected_counts([line(2, 3)], (1, 1, 6), (1, 1, 2), draws)
    assert found.tolist() == pytest.approx(expected)
    assert found.dtype == torch.float32


def test_two_voxels_padded_to_a_patch_of_six_are_one_patch() -> None:
    assert expected_counts([line(0)], (1, 1, 2), (1, 1, 6), [(1.0, None)]).tolist() == [1, 5]


def test_every_place_of_a_volume_counted_one_by_one() -> None:
    chance = torch.Generator().manual_seed(0)
    lesion, nawm = (torch.rand(1, 5, 4, 6, generator=chance) > level for level in (0.8, 0.4))
    parts = [lesion, nawm & ~lesion, ~(nawm | lesion)]
    places = list(product(range(4), range(2), range(5)))
    by_hand = [
        sum(int(part[0, x : x + 2, y : y + 3, z : z + 2].sum()) for x, y, z in places) / len(places) for part in parts
    ]
    found = expected_counts([lesion, nawm], (5, 4, 6), (2, 3, 2), [(1.0, None)])
    assert found.tolist() == pytest.approx(by_hand)
    assert float(found.sum()) == pytest.approx(2 * 3 * 2)
