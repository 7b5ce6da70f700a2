"""The residual-encoder U-Net: sizes, outputs at several resolutions, what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.errors import CheckpointError, ConfigError
from common.networks.cascade import SingleStage
from common.networks.residual_unet import ResidualUNet


@pytest.mark.parametrize(("dimensions", "sides"), [(2, (16, 24)), (3, (8, 16, 8))])
def test_training_has_an_output_a_resolution_and_inference_the_finest_alone(
    dimensions: int, sides: tuple[int, ...]
) -> None:
    network = ResidualUNet(3, 2, depth=3, width=4, spatial_dims=dimensions)
    x = torch.randn(2, 3, *sides)
    levels = network.train()(x)
    assert [tuple(each.shape) for each in levels] == [(2, 2, *(side // 2**k for side in sides)) for k in range(3)]
    with torch.no_grad():
        made = network.eval()(x)
    torch.testing.assert_close(made, levels[0])  # instance normalisation has no statistics of its own


def test_a_slice_of_slabs_is_made_of_itself_and_its_neighbours_alone() -> None:
    network = ResidualUNet(2, 1, depth=3, width=4, spatial_dims=3, neighbours=3).eval()
    x = torch.randn(2, 2, 16, 24, 5)
    slab = torch.stack([x[:, channel, :, :, place] for channel in (0, 1) for place in (1, 2, 3)], dim=1)
    first = torch.stack([x[:, channel, :, :, place] for channel in (0, 1) for place in (0, 0, 1)], dim=1)
    with torch.no_grad():
        made = network(x)
        torch.testing.assert_close(made[..., 2], network.network(slab))
        torch.testing.assert_close(made[..., 0], network.network(first))  # the end is repeated
        torch.testing.assert_close(network(slab), made[..., 2])  # as an inferer of slices gives it
    levels = network.train()(x)
    assert [tuple(each.shape) for each in levels] == [(2, 1, 16 // 2**k, 24 // 2**k, 5) for k in range(3)]


@pytest.mark.parametrize(
    ("sides", "fault"), [((16, 20), r"\[16, 20\] does not fit depth 3"), ((8, 8), r"\[8, 8\] does not fit depth 3")]
)
def test_sides_that_do_not_fit_are_refused(sides: tuple[int, int], fault: str) -> None:
    network = ResidualUNet(depth=3, width=2)
    with pytest.raises(ConfigError, match=f"{fault}: give multiples of 8, one of them above it"):
        network(torch.zeros(1, 1, *sides))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [({"norm": "layer"}, "norm is 'layer': choose batch or instance"),
     ({"neighbours": 2, "spatial_dims": 3}, "neighbours is 2, not odd and positive"),
     ({"neighbours": 3}, "spatial_dims is 2, but neighbours 3 needs 3")],
)  # fmt: skip
def test_other_settings_are_refused(settings: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        ResidualUNet(width=2, **settings)  # type: ignore[arg-type]


def test_one_network_in_the_place_of_a_cascade() -> None:
    stage = nn.Conv3d(2, 1, 1)
    plain, scaled = SingleStage(stage, 2), SingleStage(stage, 2, scaled=True)
    x = torch.randn(1, 2, 3, 3, 3)
    torch.testing.assert_close(plain(x), stage(x))
    assert scaled.target_scale.tolist() == [0, 1]
    assert plain.in_channels == 2
    assert int(plain.in_use) == 1
    with pytest.raises(CheckpointError, match="target_scale"):
        scaled.load_state_dict(plain.state_dict(), strict=False)
