"""Networks of fast MR: their sizes, their start, the refinement connection, shortcuts."""

from __future__ import annotations

import pytest
import torch
from mri_dagan.networks import EncoderDecoder, RefinedUNet, ResidualChain, SliceDiscriminator
from torch import Tensor, nn
from torch.nn import functional as F


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 3 - 1


def test_sizes_are_the_published_ones() -> None:
    down = (64, 128, 256, 512, 512, 512, 512, 512)
    pairs = list(zip(down[:-1], down[1:], strict=True))
    outer = 16 * (1 * 64 + 128 * 1) + 1
    inside = 16 * sum(
        a * b + (b if b is down[-1] and number == 6 else 2 * b) * a for number, (a, b) in enumerate(pairs)
    )
    norms = 2 * sum(down[1:-1]) + 2 * sum(down[:-1])
    assert parameters(RefinedUNet()) == outer + inside + norms == 54_407_809
    features = (64, 128, 256, 512, 1024, 2048)
    convolutions = 64 * 17 + 16 * sum(a * b for a, b in zip(features[:-1], features[1:], strict=True))
    rest = 2048 * 1024 + 1024 * 512 + 512 * 128 + 9 * (128 * 128 + 128 * 512)
    scales = 2 * (sum(features[1:]) + 1024 + 512 + 128 + 128 + 512)
    assert parameters(SliceDiscriminator()) == convolutions + rest + scales + 512 * 16 + 1
    growing = 27 * (1 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    assert parameters(EncoderDecoder()) == 2 * growing + 480 + 225 + 2 * (480 + 224)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (RefinedUNet(3, 3, 2), (2, 3, 16, 8)),
        (ResidualChain(2, 2), (1, 1, 5, 6, 7)),
        (EncoderDecoder(2), (1, 1, 5, 6, 7)),
    ],
)
def test_every_generator_starts_as_the_identity(network: nn.Module, shape: tuple[int, ...]) -> None:
    x = images(*shape)
    torch.testing.assert_close(network(x), x[:, x.shape[1] // 2 :][:, :1], rtol=0, atol=0)


def test_the_unet_is_added_to_the_central_slice_and_clipped_to_air() -> None:
    network, x = RefinedUNet(3, 3, 2).eval(), images(2, 3, 16, 8)
    nn.init.constant_(network.unet.decoder[-1][1].bias, -10.0)  # tanh(-10) is -1
    torch.testing.assert_close(network(x), (x[:, 1:2] - 1).clamp(min=-1), rtol=0, atol=1e-6)
    nn.init.constant_(network.unet.decoder[-1][1].bias, 10.0)
    torch.testing.assert_close(network(x), x[:, 1:2] + 1, rtol=0, atol=1e-6)
    network.highest = 1.0
    torch.testing.assert_close(network(x), (x[:, 1:2] + 1).clamp(max=1), rtol=0, atol=1e-6)


def test_red_adds_the_outputs_of_its_encoder_and_the_volume() -> None:
    network, x = EncoderDecoder(2).eval(), images(1, 1, 5, 4, 6)
    nn.init.normal_(network.decoder[-1].weight)
    kept = [x]
    for layer in network.encoder:
        kept.append(F.leaky_relu(layer[1](layer[0](kept[-1])), 0.2))
    made = kept[4]
    for number in (3, 2, 1):
        layer = network.decoder[3 - number]
        made = F.leaky_relu(layer[1](layer[0](made)), 0.2) + kept[number]
    torch.testing.assert_close(network(x), network.decoder[3](made) + x)


@pytest.mark.parametrize("side", [35, 96, 256])
def test_the_discriminator_scores_all_of_a_slice(side: int) -> None:
    discriminator, slices = SliceDiscriminator(width=1).eval(), images(2, 1, side, side).requires_grad_()
    values = discriminator(slices)
    assert values.shape == (2, 1)
    (slopes,) = torch.autograd.grad(values[0], slices)
    assert (slopes[0] != 0).float().mean() > 0.9
    assert (slopes[1] == 0).all()


def test_a_discriminator_without_batch_normalisation_has_none_in_its_residual_block() -> None:
    discriminator = SliceDiscriminator(width=1, norm="instance", spectral_norm=True)
    names = [type(part).__name__ for part in discriminator.modules()]
    assert names.count("InstanceNorm2d") == 10
    assert "BatchNorm2d" not in names
    assert discriminator(images(2, 1, 256, 256)).shape == (2, 1)
