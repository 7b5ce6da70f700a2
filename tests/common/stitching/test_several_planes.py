"""A network on the slices of several planes: the mean of what it makes of each, and the memory for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.stitching import PLANES, PlaneInferer, PlanesInferer

VOLUME = torch.arange(60.0).reshape(1, 1, 3, 4, 5) ** 2


def planes(*names: str) -> PlanesInferer:
    return PlanesInferer(PlaneInferer("axial", 1, 2, multiple_of=1), names)


def of_slices(slices: Tensor) -> Tensor:
    """The mean of each slice in all of its pixels."""
    return slices.mean((2, 3), keepdim=True).expand_as(slices)


def test_outputs_of_three_planes_are_averaged() -> None:
    made = planes(*PLANES)(VOLUME, of_slices)
    across = ((3, 4), (2, 4), (2, 3))
    torch.testing.assert_close(made, sum(VOLUME.mean(axes, keepdim=True).expand_as(VOLUME) for axes in across) / 3)


def test_memory_is_that_of_the_largest_plane_and_a_sum() -> None:
    network, both = nn.Conv2d(1, 1, 1), planes("axial", "sagittal")
    alone = [PlaneInferer(name, 1, 2, multiple_of=1) for name in ("axial", "sagittal")]
    largest = max(each.bytes_needed(network, 1, (3, 4, 5)) for each in alone)
    assert both.bytes_needed(network, 1, (3, 4, 5)) == largest + 4 * 60
    assert [(words, other.inferer.batch_size, other.axes) for words, other in both.smaller()] == [  # type: ignore[attr-defined]
        ("inference_batch 2", 2, (2, 0)),
        ("inference_batch 1", 1, (2, 0)),
    ]
