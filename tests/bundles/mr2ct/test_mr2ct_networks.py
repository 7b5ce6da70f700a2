"""The generator of the unpaired variant: published size, worked out layer by layer, and its residual blocks."""

from __future__ import annotations

import pytest
import torch
from mr2ct_pix2pix.networks import ResnetGenerator
from torch import nn

from common.errors import CheckpointError, ConfigError


def test_nine_blocks_have_the_published_weights() -> None:
    # c7s1-64, d128, d256, nine times two 3x3 of 256, u128, u64 without biases, which instance norm removes; c7s1-1 has
    ends, down = 49 * 64 + 49 * 64 + 1, 9 * (64 * 128 + 128 * 256)
    blocks, up = 9 * 2 * 9 * 256 * 256, 9 * (256 * 128 + 128 * 64)
    assert ends + down + blocks + up == 11_360_385
    assert sum(parameter.numel() for parameter in ResnetGenerator().parameters()) == 11_360_385


@pytest.mark.parametrize(("depth", "sides"), [(2, (64, 40)), (1, (14, 22)), (3, (24, 32))])
def test_sizes_channels_and_range(depth: int, sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(3, 2, depth=depth, width=4, blocks=2)
    network.layers[-2].weight.data.mul_(100)  # far into the saturation of tanh
    with torch.no_grad():
        output = network(torch.rand(2, 3, *sides) * 2 - 1)
    assert output.shape == (2, 2, *sides)
    assert 0.9 < output.abs().max() <= 1


def test_a_block_adds_to_its_input() -> None:
    network = ResnetGenerator(width=4, blocks=1)
    (block,) = (part for part in network.layers if type(part).__name__ == "_AddingBlock")
    features = torch.rand(1, 16, 6, 6)
    assert not torch.allclose(block(features), features)
    for part in block.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data.zero_()
    torch.testing.assert_close(block(features), features, rtol=0, atol=0)


def test_an_instance_is_normalised_alone_and_a_batch_together() -> None:
    torch.manual_seed(0)
    slices = torch.rand(2, 1, 16, 16)
    for norm, alike in {"instance": True, "batch": False}.items():
        network = ResnetGenerator(width=4, blocks=1, norm=norm).train()
        with torch.no_grad():
            assert torch.allclose(network(slices)[:1], network(slices[:1]), atol=1e-5) is alike, norm


def test_a_flat_slice_gives_finite_numbers() -> None:
    with torch.no_grad():
        assert ResnetGenerator(width=4, blocks=1)(torch.full((1, 1, 16, 16), -1.0)).isfinite().all()


def test_other_norms_and_other_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="norm is 'group': choose batch or instance"):
        ResnetGenerator(norm="group")
    with pytest.raises(CheckpointError, match="weights do not fit ResnetGenerator"):
        ResnetGenerator(width=4, blocks=1).load_state_dict(
            ResnetGenerator(width=4, blocks=2).state_dict(), strict=False
        )
