"""The generator, its encoder and critics, MONAI's autoencoder behind the same interface, and losses by hand."""

from __future__ import annotations

import math

import pytest
import torch
from brain3d_alphagan.diffusion import LatentDiffusionGenerator
from brain3d_alphagan.methods import AlphaWgan, LatentDiffusion, Variational
from brain3d_alphagan.networks import (
    AutoEncodingGenerator,
    BrainGenerator,
    CodeCritic,
    DoubledConvolution,
    ImageCritic,
    VariationalGenerator,
)
from brain3d_alphagan.samples import middle_slices
from brain3d_alphagan.scores import BrainScores, SliceFeatures, batch_mmd, brain_volume, pair_similarity
from loss_settings import losses_of
from torch import Tensor, nn
from torch.nn import functional as F
from toy_networks import parameters

from common.losses import AdversarialLoss
from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import left_and_right, nearest_training


def test_doubled_convolution_is_doubling_and_convolution_at_odd_sizes() -> None:
    torch.manual_seed(0)
    layer, image = DoubledConvolution(3, 2), torch.randn(2, 3, 5, 6, 7)
    expected = F.conv3d(F.interpolate(image, scale_factor=2, mode="nearest"), layer.weight, padding=1)
    torch.testing.assert_close(layer(image), expected, rtol=0, atol=1e-5)


def test_published_sizes() -> None:
    """Weights of convolutions by arithmetic: kernels of 4^3, of 3^3, then scales and shifts of normalised layers."""
    generator = AutoEncodingGenerator()
    decoder = 1000 * 512 * 64 + 27 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 1) + 2 * (512 + 256 + 128 + 64)
    assert parameters(generator.decoder) == decoder
    critic = 64 * (64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 128 + 256 + 512 + 1 + 2 * (128 + 256 + 512)
    assert parameters(ImageCritic()) == critic
    assert parameters(CodeCritic(1000, 4096)) == 1000 * 4096 + 4096**2 + 4096 + 2 * 4096 + 4 * 4096 + 1


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


def test_a_diffusion_model_gives_one_image_for_each_noise() -> None:
    pytest.importorskip("einops")
    torch.manual_seed(0)
    network = LatentDiffusionGenerator(channels=(8, 8, 8), steps=2).eval()
    assert network.latent_shape == (3, 16, 16, 16)
    noise = torch.randn(1, 3, 16, 16, 16)
    with torch.no_grad():
        made = network(noise)
        assert made.shape == (1, 1, 64, 64, 64)
        assert torch.equal(made, network(noise))


def test_the_deviation_of_latent_maps_in_16_bits_is_followed() -> None:
    network = nn.Module()  # the whole one needs einops
    network.register_buffer("deviation", torch.ones(()))
    LatentDiffusionGenerator.follow(network, torch.tensor([0.0, 2.0], dtype=torch.bfloat16))
    assert network.deviation.item() == pytest.approx(1 + 0.05 * (2**0.5 - 1))


LOSS = AdversarialLoss("wasserstein", discriminator_factor=1.0, gradient_penalty=10.0)


class Doubler(BrainGenerator):
    """Images are twice their noise, and codes half of images."""

    def __init__(self) -> None:
        super().__init__([2])
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, noise: Tensor) -> Tensor:
        return self.factor * noise

    def encode(self, image: Tensor) -> Tensor:
        return image / 4


class Mean(nn.Module):
    """The score is a multiple of an image's sum."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image: Tensor) -> Tensor:
        return self.factor * image.sum(1, keepdim=True)


def alpha(**weights: float) -> AlphaWgan:
    given = weights or {"adversarial": 1, "code": 1, "l1": 10}
    return AlphaWgan(Doubler(), Mean(3.0), Mean(5.0), losses_of(given), LOSS)


def test_losses_of_generator_and_encoder() -> None:
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    noise = fakes["noise"]
    assert torch.equal(fakes["pred"], 2 * noise)
    assert fakes["code"].tolist() == [[0.25, 0.75]]
    assert fakes["reconstruction"].tolist() == [[0.5, 1.5]]
    losses = {name: value.item() for name, value in method.generator_losses(batch, fakes).items()}
    assert losses == {
        "adversarial": pytest.approx(-3 * 2 * noise.sum().item() - 3 * 2.0),
        "code": pytest.approx(-5 * 1.0),
        "l1": pytest.approx((0.5 + 1.5) / 2),
    }


def test_losses_of_the_critics() -> None:
    """D(fake) - D(real), the mean over samples and reconstructions; slopes are those of the weights everywhere."""
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    noise = fakes["noise"].sum().item()
    losses = {name: value.item() for name, value in method.discriminator_losses(batch, fakes).items()}
    assert losses == {
        "discriminator": pytest.approx(3 * (2 * noise + 2) / 2 - 3 * 4),
        "discriminator_penalty": pytest.approx(10 * (3 * math.sqrt(2) - 1) ** 2, rel=1e-4),
        "code_discriminator": pytest.approx(5 * 1 - 5 * noise, rel=1e-4),
        "code_discriminator_penalty": pytest.approx(10 * (5 * math.sqrt(2) - 1) ** 2, rel=1e-4),
    }


def test_both_critics_and_the_encoder_are_trained() -> None:
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    sum(method.discriminator_losses(batch, {name: fake.detach() for name, fake in fakes.items()}).values()).backward()  # type: ignore[union-attr]
    assert {name for name, critic in method.discriminators.items() if critic.factor.grad} == {
        "discriminator", "code_discriminator"
    }  # fmt: skip
    assert method.has_adversary
    assert not alpha(adversarial=0, code=0, l1=1).has_adversary


def test_error_of_the_noise() -> None:
    made = LatentDiffusion(Doubler(), losses_of({"noise": 1, "kl": 1}))
    fakes = {"found": torch.tensor([1.0, 2.0]), "noise": torch.tensor([0.0, 4.0])}
    assert made.loss("noise", {}, fakes).item() == pytest.approx((1 + 4) / 2)


def test_kl_of_a_posterior_by_hand() -> None:
    """0.5 sum (m^2 + s^2 - 1 - log s^2), the mean over images."""
    method = Variational(Doubler(), losses_of({"kl": 1, "l1": 1}))
    fakes = {"mean": torch.tensor([[1.0, 0.0], [2.0, 0.0]]), "deviation": torch.tensor([[1.0, 1.0], [1.0, 2.0]])}
    expected = (0.5 * 1 + 0.5 * (4 + 3 - math.log(4))) / 2
    assert method.loss("kl", {}, fakes).item() == pytest.approx(expected)


def blobs(count: int, seed: int) -> torch.Tensor:
    coarse = torch.rand(count, 1, 6, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, (64, 64, 64), mode="trilinear")


def test_mmd_of_constant_volumes_is_the_squared_distance_of_their_means() -> None:
    one, other = torch.full((4, 1, 2, 2, 2), 0.5), torch.full((4, 1, 2, 2, 2), -0.25)
    assert batch_mmd(one, other, 0) == pytest.approx(8 * 0.75**2)
    assert batch_mmd(one, one, 0) == pytest.approx(0)


def test_similarity_of_pairs_is_one_where_all_are_alike() -> None:
    volumes = blobs(4, 0)
    assert pair_similarity(volumes[:1].expand(4, -1, -1, -1, -1), 0) == pytest.approx(1, abs=1e-5)
    assert pair_similarity(volumes, 0) < 0.9


def test_features_are_those_of_the_middle_slices() -> None:
    volumes = blobs(2, 1)
    slices = middle_slices(volumes)
    assert torch.equal(slices[:, 0], volumes[:, 0, :, :, 32])
    assert torch.equal(slices[:, 1], volumes[:, 0, :, 32])
    assert torch.equal(slices[:, 2], volumes[:, 0, 32])
    found = SliceFeatures()(volumes)
    assert torch.equal(found[:, :480], RandomFeatures()(slices[:, :1]))
    assert found.shape == (2, 1440)


def test_a_copy_with_left_and_right_exchanged_is_found() -> None:
    training = blobs(5, 2)
    found = nearest_training(training[[3]].flip(2), training, left_and_right)
    assert found.index.tolist() == [3]
    assert found.distance.item() == pytest.approx(0, abs=1e-6)
    assert nearest_training(training[[3]].flip(3), training, left_and_right).distance.item() > 0.1


def test_collapse_and_copies_show_in_the_scores() -> None:
    training, test = blobs(8, 3), blobs(6, 4)
    scores = BrainScores(training, test, 3.0, 0)
    alike = training[:1].expand(6, -1, -1, -1, -1)
    collapsed = scores.of(alike, nearest_training(alike, training, left_and_right))
    assert collapsed["diversity"] == pytest.approx(0, abs=1e-4)
    assert collapsed["copied"] == 1
    real = scores.of(training, None)
    assert real["diversity"] == pytest.approx(1, abs=0.3)
    assert abs(real["kid"]) < collapsed["kid"]
    assert "copied" not in real


def test_volume_of_the_brain_by_hand() -> None:
    """1,000 and 2,000 voxels of 3 mm are 27 and 54 ml."""
    volumes = torch.full((2, 1, 64, 64, 64), -1.0)
    volumes[0, :, :10, :10, :10] = 0
    volumes[1, :, :20, :10, :10] = 0
    assert brain_volume(volumes, 3.0) == {"brain_ml": pytest.approx(40.5), "brain_ml_sd": pytest.approx(27 / 2**0.5)}
