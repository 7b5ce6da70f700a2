"""The ensemble: a mean of outputs that are brought to one scale."""

from __future__ import annotations

import torch
from toy_networks import Scale

from common.networks.ensemble import NetworkEnsemble


def test_it_is_the_mean_of_its_members() -> None:
    network = NetworkEnsemble(Scale(1.0), 2)
    network.load_state_dict({**network.state_dict(), "members.0.weight": torch.tensor(2.0),
                             "members.1.weight": torch.tensor(5.0)})  # fmt: skip
    assert network(torch.tensor([1.0, -2.0])).tolist() == [3.5, -7.0]


def test_scores_of_other_scales_are_brought_to_one() -> None:
    """3 z and 3 z on scales of 10 +- 2 and 20 +- 4: 16 and 32, whose mean 24 is 7 on the first scale."""
    network = NetworkEnsemble(Scale(3.0), 2)
    network.gain.copy_(torch.tensor([1.0, 4 / 2]))
    network.offset.copy_(torch.tensor([0.0, (20 - 10) / 2]))
    assert network(torch.ones(1)).tolist() == [7.0]


def test_members_are_copies() -> None:
    scale = Scale(1.0)
    network = NetworkEnsemble(scale, 3)
    scale.weight.data.fill_(9)
    assert [float(member.weight) for member in network.members] == [1, 1, 1]
