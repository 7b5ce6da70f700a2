"""Inferers around another: mirrored volumes are averaged, z-scores rescaled by the network that predicted them."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from common.errors import ConfigError
from common.stitching import MirrorInferer, PlaneInferer, TargetScaleInferer

VOLUME = torch.arange(24.0).reshape(1, 1, 2, 3, 4)


def shifted(x: Tensor) -> Tensor:
    """Each voxel's left neighbour, so that a mirror image has another answer."""
    return x.roll(1, dims=2)


def test_left_and_right_are_averaged() -> None:
    made = MirrorInferer(SimpleInferer(), [0])(VOLUME, shifted)
    assert torch.equal(made, (VOLUME.roll(1, dims=2) + VOLUME.roll(-1, dims=2)) / 2)


def test_three_axes_have_eight_ways() -> None:
    calls: list[Tensor] = []

    def counted(x: Tensor) -> Tensor:
        calls.append(x.clone())
        return x.clone()

    torch.testing.assert_close(MirrorInferer(SimpleInferer(), [0, 1, 2])(VOLUME, counted), VOLUME)
    assert len({tuple(call.flatten().tolist()) for call in calls}) == 8


@pytest.mark.parametrize("axes", [[3], [-1], [0, 0]])
def test_other_axes_are_refused(axes: list[int]) -> None:
    with pytest.raises(ConfigError, match="--mirrored is .*, not some of 0, 1, 2, each once"):
        MirrorInferer(SimpleInferer(), axes)


def test_memory_is_that_of_the_inner_inferer_and_a_mirrored_volume() -> None:
    inner, network = PlaneInferer("axial", 1, 4, multiple_of=1), nn.Conv2d(1, 1, 1)
    needed = inner.bytes_needed(network, 1, (4, 5, 6))
    assert MirrorInferer(inner).bytes_needed(network, 1, (4, 5, 6)) == needed
    assert MirrorInferer(inner, [0]).bytes_needed(network, 1, (4, 5, 6)) == needed + 3 * 4 * 4 * 5 * 6
    found = [(words, other.inferer.batch_size, other.axes) for words, other in MirrorInferer(inner, [2]).smaller()]  # type: ignore[attr-defined]
    assert found == [(f"inference_batch {size}", size, (2,)) for size in (4, 2, 1)]


class Doubling(nn.Module):
    """``2 x``, and keeps the scale of its targets."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.register_buffer("target_scale", torch.tensor([mean, deviation]))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


SOURCE = torch.tensor([-1.0, 0.0, 1.5]).reshape(1, 1, 3, 1, 1)


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
