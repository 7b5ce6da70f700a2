"""The losses of pix2pix on networks of one weight, and the generator of the unpaired variant layer by layer."""

from __future__ import annotations

import pytest
import torch
from loss_settings import losses_of
from mr2ct_pix2pix.networks import ResnetGenerator
from torch import Tensor, nn
from toy_networks import Pair, Scale

from common.errors import CheckpointError, ConfigError
from common.losses import AdversarialLoss, weighted_sum
from common.training.methods.conditional import ConditionalGan


def _method(kind: str = "least_squares", **weights: float) -> ConditionalGan:
    losses = losses_of(weights or {"adversarial": 1, "l1": 100})
    return ConditionalGan(Scale(0.5), Pair(10.0, 1.0), losses, AdversarialLoss(kind))


def _numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(loss.detach()) for name, loss in losses.items()}


BATCH = {"image": torch.full((1, 1, 2, 2), 0.2), "label": torch.full((1, 1, 2, 2), 0.9)}


def test_losses_by_hand() -> None:
    method = _method()
    fakes = method.generate(BATCH)
    assert fakes["pred"].detach().unique().tolist() == pytest.approx([0.1])
    # D: real 10 * 0.2 + 0.9 = 2.9, fake 2 + 0.1 = 2.1; 0.5 [(2.9 - 1)^2 + 2.1^2] = 0.5 (3.61 + 4.41)
    found = method.discriminator_losses(BATCH, fakes)
    assert _numbers(found) == pytest.approx({"discriminator": 4.01})
    # G: (2.1 - 1)^2 = 1.21; |0.1 - 0.9| = 0.8; the sum 1.21 + 100 * 0.8
    found = method.generator_losses(BATCH, fakes)
    assert _numbers(found) == pytest.approx({"adversarial": 1.21, "l1": 0.8})
    assert float(weighted_sum(found, method.loss_weights).detach()) == pytest.approx(81.21)


def test_without_adversary_the_discriminator_is_not_asked() -> None:
    method = _method(adversarial=0, l1=100)
    fakes = method.generate(BATCH)
    assert method.discriminator_losses(BATCH, fakes) == {}
    assert set(method.generator_losses(BATCH, fakes)) == {"l1"}
    assert method.discriminators["discriminator"].given == []


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


def test_other_norms_and_other_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="norm is 'group': choose batch or instance"):
        ResnetGenerator(norm="group")
    with pytest.raises(CheckpointError, match="weights do not fit ResnetGenerator"):
        ResnetGenerator(width=4, blocks=1).load_state_dict(
            ResnetGenerator(width=4, blocks=2).state_dict(), strict=False
        )
