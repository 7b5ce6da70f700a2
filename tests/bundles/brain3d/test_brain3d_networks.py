"""The generator, its encoder and critics; MONAI's autoencoder behind the same interface."""

from __future__ import annotations

import pytest
import torch
from brain3d_alphagan.diffusion import LatentDiffusionGenerator
from brain3d_alphagan.networks import (
    AutoEncodingGenerator,
    CodeCritic,
    DoubledConvolution,
    ImageCritic,
    VariationalGenerator,
)
from torch import nn
from torch.nn import functional as F

from common.errors import ConfigError


def weights(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_doubled_convolution_is_doubling_and_convolution_at_odd_sizes() -> None:
    torch.manual_seed(0)
    layer, image = DoubledConvolution(3, 2), torch.randn(2, 3, 5, 6, 7)
    expected = F.conv3d(F.interpolate(image, scale_factor=2, mode="nearest"), layer.weight, padding=1)
    torch.testing.assert_close(layer(image), expected, rtol=0, atol=1e-5)


def test_published_sizes() -> None:
    """Weights of convolutions by arithmetic: kernels of 4^3, of 3^3, then scales and shifts of normalised layers."""
    generator = AutoEncodingGenerator(encoder=False)
    decoder = 1000 * 512 * 64 + 27 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 1) + 2 * (512 + 256 + 128 + 64)
    assert weights(generator) == decoder
    critic = 64 * (64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 128 + 256 + 512 + 1 + 2 * (128 + 256 + 512)
    assert weights(ImageCritic()) == critic
    assert weights(CodeCritic(1000, 4096)) == 1000 * 4096 + 4096**2 + 4096 + 2 * 4096 + 4 * 4096 + 1


@pytest.mark.parametrize("network", [AutoEncodingGenerator(7, 1), VariationalGenerator(7, 1)])
def test_noise_to_image_and_back(network: torch.nn.Module) -> None:
    network.eval()
    noise = torch.randn(2, 7)
    with torch.no_grad():
        made = network(noise)
        assert made.shape == (2, 1, 64, 64, 64)
        assert made.abs().max() <= 1
        assert network.encode(made).shape == noise.shape
        assert torch.equal(network.reconstruct(made), network(network.encode(made)))
        alone = network(noise[:1])
    torch.testing.assert_close(alone, made[:1], rtol=0, atol=1e-5)


def test_without_an_encoder_nothing_is_reconstructed() -> None:
    network = AutoEncodingGenerator(7, 1, encoder=False)
    with pytest.raises(
        ConfigError, match="AutoEncodingGenerator has no encoder.*: omit --reconstruct, or pass weights"
    ):
        network.reconstruct(torch.zeros(1, 1, 64, 64, 64))


@pytest.mark.parametrize(
    ("name", "latent"), [("DiffusionGenerator", (1, 64, 64, 64)), ("LatentDiffusionGenerator", (3, 16, 16, 16))]
)
def test_a_diffusion_model_gives_one_image_for_each_noise(name: str, latent: tuple[int, ...]) -> None:
    pytest.importorskip("einops")
    from brain3d_alphagan import diffusion

    torch.manual_seed(0)
    network = getattr(diffusion, name)(channels=(8, 8, 8), steps=2).eval()
    assert network.latent_shape == latent
    noise = torch.randn(1, *latent)
    with torch.no_grad():
        made = network(noise)
        assert made.shape == (1, 1, 64, 64, 64)
        assert torch.equal(made, network(noise))


def test_the_deviation_of_latent_maps_in_16_bits_is_followed() -> None:
    network = nn.Module()  # the whole one needs einops
    network.register_buffer("deviation", torch.ones(()))
    LatentDiffusionGenerator.follow(network, torch.tensor([0.0, 2.0], dtype=torch.bfloat16))
    assert network.deviation.item() == pytest.approx(1 + 0.05 * (2**0.5 - 1))
