"""Z-scores are rescaled by the statistics of the network that predicted them."""

from __future__ import annotations

import copy

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from common.stitching import TargetScaleInferer


class Doubling(nn.Module):
    """``2 x``, and keeps the scale of its targets."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.register_buffer("target_scale", torch.tensor([mean, deviation]))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


SOURCE = torch.tensor([-1.0, 0.0, 1.5]).reshape(1, 1, 3, 1, 1)


def test_deviations_are_counted_from_the_mean():
    made = TargetScaleInferer(SimpleInferer())(SOURCE, Doubling(100, 30))
    assert made.flatten().tolist() == [40, 100, 190]
    assert made.shape == SOURCE.shape


def test_the_scale_is_that_of_the_network_of_the_call():
    """A server keeps the network of the configuration as it is and loads weights into a copy."""
    configured = Doubling(0, 1)
    infer = TargetScaleInferer(SimpleInferer())
    assert infer(SOURCE, configured).flatten().tolist() == [-2, 0, 3]
    served = copy.deepcopy(configured)
    served.load_state_dict({"target_scale": torch.tensor([5.0, 2.0])}, strict=False)
    assert infer(SOURCE, served).flatten().tolist() == [1, 5, 11]


def test_an_exported_network_brings_its_scale_along():
    scripted = torch.jit.script(Doubling(100, 30))
    assert TargetScaleInferer(SimpleInferer())(SOURCE, scripted).flatten().tolist() == [40, 100, 190]
