"""Networks of fast MR: sizes, start, shortcuts; losses of DAGAN by independent computations, and their overlays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from mri_dagan.losses import frequency_distance, slice_variation
from mri_dagan.networks import EncoderDecoder, RefinedUNet, ResidualChain, SliceDiscriminator
from mri_dagan.scores import relative_scores
from torch import Tensor, nn
from torch.nn import functional as F
from toy_networks import parameters

from common.losses import PerceptualDistance


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


BUNDLE = Bundle("mri_dagan")


def signed(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_frequencies_are_compared_by_their_magnitudes() -> None:
    pred, target = signed(2, 1, 6, 5), signed(2, 1, 6, 5, seed=1)
    spectra = [np.abs(np.fft.fft2((image.numpy() + 1) / 2, axes=(2, 3))) / 30**0.5 for image in (pred, target)]
    assert float(frequency_distance(pred, target)) == pytest.approx(np.square(spectra[0] - spectra[1]).mean(), rel=1e-5)
    assert float(frequency_distance(pred, pred.roll(1, 3))) == pytest.approx(0, abs=1e-12), "a shift is a phase"


def test_an_empty_slice_has_finite_slopes() -> None:
    air = torch.full((1, 1, 4, 4), -1.0, requires_grad=True)
    frequency_distance(air, signed(1, 1, 4, 4)).backward()
    assert torch.isfinite(air.grad).all()


def test_neighbouring_slices_are_compared_along_the_last_axis() -> None:
    volume = torch.zeros(2, 1, 3, 3, 4)
    volume[..., 2:] = 3
    assert float(slice_variation(volume, torch.zeros(1))) == 9
    assert float(slice_variation(volume.movedim(4, 2), torch.zeros(1))) == 0


@pytest.mark.parametrize(
    ("overlay", "used", "kind"),
    [
        (None, {"adversarial", "l2", "frequency", "perceptual"}, "bce"),
        ("published", {"adversarial", "l2", "frequency", "perceptual"}, "bce"),
        ("no_adversarial", {"l2", "frequency", "perceptual"}, None),
        ("super_resolution", {"adversarial", "l2", "slice_variation"}, "bce"),
        ("denoise", {"adversarial", "l2", "perceptual"}, "wasserstein"),
    ],
)
def test_overlays_train_the_rows_of_the_papers(overlay: str | None, used: set[str], kind: str | None) -> None:
    small = {"width": 4, "depth": 2, "discriminator_width": 2, "device": torch.device("cpu")}
    parser = BUNDLE.parser("train", *([overlay] if overlay else []), **small)
    method = parser.get_parsed_content("method")
    assert {name for name in method.loss_weights if method.uses(name)} == used
    assert method.has_adversary is (kind is not None)
    assert kind is None or method.adversarial_loss.kind == kind
    functions = {name: loss.function for name, loss in method.losses.items() if name in used}
    assert isinstance(functions.get("perceptual"), PerceptualDistance) is ("perceptual" in used)
    assert functions.get("frequency", frequency_distance) is frequency_distance


def test_the_relative_error_does_not_depend_on_the_unit() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((12, 12, 12)) + 0.1
    pred, mask = truth + 0.01, np.ones(truth.shape)
    first, second = relative_scores(pred, truth, mask), relative_scores(7 * pred, 7 * truth, mask)
    assert first["nmae"] == pytest.approx(0.01 / np.percentile(truth, 99.5))
    assert second["mae"] == pytest.approx(0.07)
    for name in ("nmae", "psnr", "ssim", "ms_ssim"):
        assert second[name] == pytest.approx(first[name], nan_ok=True)
