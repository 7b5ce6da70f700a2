"""The map of a case from a network, by hand."""

from __future__ import annotations

import numpy as np
import torch

from common import checkpoints
from common.uncertainty.conformal import Interval
from common.uncertainty.maps import UncertaintyMaps
from common.uncertainty.record import Record


class Place(torch.nn.Module):
    """The place along the first axis, whatever the input: mirrored, it is the other way round."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.arange(8.0)[None, None, :, None, None].expand(1, 1, 8, 4, 4)


def test_half_widths_of_a_network_by_hand(tmp_path):
    """Contrasts change nothing, the move gives 3 to 7 and 0 to 2, the mirror 7 to 0; factor 2, floor 1."""
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    intervals = {"all": Interval(2.0, 1.0, 9)}
    Record(checkpoints.sha256(weights), "DVR", 0.9, 0.9, {}, intervals, intervals, [], []).write(weights)
    maps = UncertaintyMaps(weights, "DVR")
    place = np.arange(8.0)[:, None, None] * np.ones((8, 4, 4))
    made = maps.half_widths(
        torch.zeros(1, 8, 4, 4), place, lambda x, network: network(x), Place(), lambda output: output[0].numpy()
    )
    moved = np.array([3, 4, 5, 6, 7, 0, 1, 2]) - np.arange(8)
    spread = np.sqrt((moved**2 + (7 - 2 * np.arange(8)) ** 2) / 4)
    np.testing.assert_allclose(made, (2 * (spread + 1))[:, None, None] * np.ones((8, 4, 4)), rtol=1e-6)
    assert maps.told() == {"Level": 0.9, "CaseLevel": 0.9, "Unit": "DVR"}
