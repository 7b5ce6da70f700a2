"""Cascades on whole volumes: each stage stitched by its mode, with networks whose sums at a border are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from common.errors import ConfigError
from common.networks.cascade import Cascade
from common.stitching import CascadeInferer, PatchStitchingInferer


class Sum(nn.Module):
    """The sum of a voxel and its two neighbours along x in the last channel, zeros beyond the ends."""

    def forward(self, x: Tensor) -> Tensor:
        line = nn.functional.pad(x[:, -1:], (0, 0, 0, 0, 1, 1))
        return line[:, :, :-2] + line[:, :, 1:-1] + line[:, :, 2:]


def stitching(mode: str) -> PatchStitchingInferer:
    """Windows of two voxels side by side; a whole pass where the mode is fast."""
    return PatchStitchingInferer(mode, (2, 1, 1), (2, 1, 1), receptive_field=3, progress=False)


def inferred(mode: str, contexts: str | None, stages: int = 2) -> list[float]:
    """Of a line of four ones by that many stages."""
    cascade = Cascade([Sum() for _ in range(stages)], in_channels=1)
    cascade.in_use.fill_(stages)
    ones = torch.ones(1, 1, 4, 1, 1)
    return CascadeInferer(stitching(mode), contexts)(ones, cascade).flatten().tolist()


# one pass: 2 3 3 2, then 5 8 8 5; windows of two: 2 2 2 2, then 4 4 4 4
@pytest.mark.parametrize(
    ("mode", "contexts", "expected"),
    [
        ("fast", None, [5, 8, 8, 5]),
        ("faithful", None, [4, 4, 4, 4]),
        ("fast", "fast", [5, 8, 8, 5]),
        ("faithful", "fast", [5, 5, 5, 5]),
        ("fast", "faithful", [4, 6, 6, 4]),
    ],
)
def test_each_stage_is_stitched_by_its_mode(mode: str, contexts: str | None, expected: list[float]) -> None:
    assert inferred(mode, contexts) == expected


def test_all_stages_but_the_last_are_contexts() -> None:
    # 5 8 8 5 of two stages in one pass; windows of two: 13 13, 13 13
    assert inferred("faithful", "fast", stages=3) == [13, 13, 13, 13]
    assert inferred("faithful", "fast", stages=1) == [2, 2, 2, 2]


def test_contexts_of_a_further_stage_are_stitched_as_those_of_the_others() -> None:
    cascade = Cascade([Sum(), Sum()], in_channels=1)
    cascade.in_use.fill_(2)
    made = CascadeInferer(stitching("faithful"), "fast").making_contexts()(torch.ones(1, 1, 4, 1, 1), cascade)
    assert made.flatten().tolist() == [5, 8, 8, 5]


def test_another_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="mode is 'slow': choose faithful or fast"):
        CascadeInferer(stitching("fast"), "slow")
