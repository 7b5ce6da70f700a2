"""The variations of an inference and their spread, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_networks import Scale

from common.networks.ensemble import NetworkEnsemble
from common.stitching import CascadeInferer, FlowInferer, MirrorInferer, PatchStitchingInferer
from common.trust.intervals.variations import MOST, Variation, manner, spread_of, variations


class Direct:
    """Applies a network to a whole volume."""

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        return network(inputs)


class Place(nn.Module):
    """Adds the place along x, so that moving and mirroring show."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(x.shape[2], dtype=x.dtype)[:, None, None]


def test_spread_is_the_root_mean_square_of_differences():
    image, prediction = torch.zeros(1, 2, 2, 2), np.full((2, 2, 2), 10.0)
    varied = [Variation("a", lambda x: x + 7.0), Variation("b", lambda x: x + 14.0)]  # 3 below, 4 above
    spread = spread_of(image, prediction, varied, lambda output: output[0].numpy())
    np.testing.assert_allclose(spread, np.sqrt((9 + 16) / 2), rtol=1e-6)
    assert spread.dtype == np.float32


def test_plain_networks_have_four_variations_of_their_input():
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    varied = {each.name: each.predict for each in variations(Direct(), nn.Identity())}
    assert list(varied) == ["gamma 0.8", "gamma 1.25", "moved by 3 voxels", "mirrored"]
    low, high = image.min(), image.max()
    expected = ((image - low) / (high - low)) ** 0.8 * (high - low) + low
    torch.testing.assert_close(varied["gamma 0.8"](image), expected)
    for name in ("moved by 3 voxels", "mirrored"):  # moved back, and mirrored back
        torch.testing.assert_close(varied[name](image), image, rtol=0, atol=0)


def test_a_network_that_corrects_its_source_sees_it_brighter_and_the_change_is_taken_off():
    """Three times the input plus a correction: +-0.05 pass as +-0.15, of which 0.05 are taken off."""
    network = Scale(3.0)
    network.corrects_source = True
    varied = {each.name: each.predict for each in variations(Direct(), network)}
    assert list(varied) == ["brighter by -0.05", "brighter by 0.05", "moved by 3 voxels", "mirrored"]
    found = varied["brighter by 0.05"](torch.ones(1, 1, 2, 2, 2)).detach()
    torch.testing.assert_close(found, torch.full_like(found, 3.1))


def test_moved_and_mirrored_inputs_are_seen_elsewhere_by_the_network():
    varied = {each.name: each.predict for each in variations(Direct(), Place())}
    seen = {name: varied[name](torch.zeros(1, 1, 8, 4, 4))[0, 0, :, 0, 0].tolist() for name in varied}
    assert seen["moved by 3 voxels"] == [3, 4, 5, 6, 7, 0, 1, 2]
    assert seen["mirrored"] == [7, 6, 5, 4, 3, 2, 1, 0]


def test_members_of_an_ensemble_are_asked_alone_and_the_mean_stays():
    network = NetworkEnsemble(Scale(1.0), 2)
    for member, weight in zip(network.members, (2.0, 5.0), strict=True):
        member.weight.data.fill_(weight)
    network.offset.copy_(torch.tensor([0.0, 1.0]))
    varied = variations(Direct(), nn.Sequential(network))
    ones = torch.ones(1)
    assert [each.name for each in varied] == ["member 0", "member 1"]
    assert [float(each.predict(ones).detach()) for each in varied] == [2, 6]
    assert float(network(ones).detach()) == 4
    assert len(variations(Direct(), NetworkEnsemble(Scale(1.0), 7))) == MOST


def test_a_flow_begins_at_other_noise_and_keeps_its_own_seed():
    class Noise(nn.Module):
        """The state, so that a flow of one step gives its noise."""

        def forward(self, x: Tensor) -> Tensor:
            return x[:, 1:2]

    flow = FlowInferer(Direct(), steps=1, seed=5)
    inferer, image = MirrorInferer(flow), torch.zeros(1, 1, 4, 4, 4)
    own = inferer(image, Noise())
    outputs = [each.predict(image) for each in variations(inferer, Noise())]
    assert len(outputs) == MOST
    assert all((one - other).abs().max() > 0.1 for one in outputs for other in [own, *outputs] if one is not other)
    torch.testing.assert_close(inferer(image, Noise()), own, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("inferer", "found"),
    [
        (MirrorInferer(Direct(), [0]), {"mirrored": [0], "steps": []}),
        (MirrorInferer(FlowInferer(Direct(), steps=7)), {"mirrored": [], "steps": [7]}),
        (CascadeInferer(PatchStitchingInferer("fast", roi_size=[8, 8, 8])), {"steps": [], "mode": ["fast"]}),
    ],
)
def test_manner_of_an_inference(inferer, found):
    told = manner(inferer, nn.Identity())
    assert {name: told[name] for name in found} == found
    assert len(told["variations"]) == MOST


def test_batch_statistics_of_a_network_in_training_stay_as_they_are():
    network = nn.BatchNorm3d(1).train()
    image = torch.full((1, 1, 2, 2, 2), 3.0)
    image[..., 0] = 1.0
    outputs = [each.predict(image) for each in variations(Direct(), network)]
    assert (float(network.running_mean), float(network.running_var), network.training) == (0, 1, True)
    torch.testing.assert_close(outputs[-1], image.flip(2).flip(2) / (1 + 1e-5) ** 0.5)
    assert not outputs[0].requires_grad
