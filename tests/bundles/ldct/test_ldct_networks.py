"""Networks of the low-dose CT bundle layer by layer, and its losses written out."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from bundle_commands import Bundle
from ldct_wgan_vgg.losses import LEAST_SQUARED_ERROR, root_mean_squared_error
from ldct_wgan_vgg.networks import ChainGenerator, PatchCritic, RedCnn, noise_of
from loss_settings import losses_of
from torch import Tensor, nn
from torch.nn import functional as F
from toy_networks import parameters

from common.losses import AdversarialLoss
from common.training.methods.base import Losses
from common.training.methods.conditional import ConditionalGan


def slab(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_sizes_are_the_published_ones() -> None:
    assert parameters(ChainGenerator()) == 9 * (32 + 6 * 32 * 32 + 32)
    assert parameters(RedCnn()) == 1_848_865
    features = (1, 64, 64, 128, 128, 256, 256)
    convolutions = sum(9 * a * b + b for a, b in zip(features[:-1], features[1:], strict=True))
    assert parameters(PatchCritic()) == convolutions + (256 * 64 + 1) * 1024 + 1025


def test_a_chain_that_subtracts_starts_as_the_identity_of_the_central_slice() -> None:
    x = slab(2, 5, 12, 9)
    torch.testing.assert_close(ChainGenerator(5, 4)(x), x[:, 2:3], rtol=0, atol=0)
    first = ChainGenerator(5, 4).layers[0].weight
    torch.testing.assert_close(first.sum(dim=(1, 2, 3)), torch.zeros(4), rtol=0, atol=1e-4)


def test_the_estimate_of_the_noise_is_taken_off_and_the_published_chain_gives_the_image() -> None:
    subtracting, direct = ChainGenerator(3, 2, (1, 2)), ChainGenerator(3, 2, (1, 2), subtracts=False)
    for layer in subtracting.layers[::2]:
        nn.init.normal_(layer.weight)
    direct.load_state_dict(subtracting.state_dict())
    assert [layer.out_channels for layer in direct.layers[::2]] == [2, 4, 1]
    x = slab(1, 3, 8, 8)
    made = (x + 1) / 2
    for layer in direct.layers[::2]:
        made = F.conv2d(made if layer is direct.layers[0] else made.clamp(min=0), layer.weight, padding=1)
    torch.testing.assert_close(direct(x), 2 * made - 1)
    torch.testing.assert_close(subtracting(x), x[:, 1:2] - 2 * made)


def striped(hu: float, amplitude: float) -> torch.Tensor:
    """A slice (1, 1, 20, 20) whose columns are alternately higher and lower, in the scale of a window of 4000 HU."""
    columns = torch.tensor([1.0, -1.0]).repeat(10).expand(20, 20)
    return ((hu + amplitude * columns + 1000) / 2000 - 1)[None, None]


def test_noise_is_found_in_soft_tissue_alone() -> None:
    tissue, bone = striped(40, 10), striped(1200, 300)
    five = 10 * (1 - 1 / 25) ** 0.5  # five columns have a mean of a fifth of the amplitude
    half = torch.cat([tissue[..., :12], bone[..., 12:]], dim=3)
    soft = ChainGenerator().soft
    levels = noise_of(torch.cat([tissue, half, bone]), *soft) * 2000
    torch.testing.assert_close(levels.flatten(), torch.tensor([five, five, 0.0]), rtol=1e-3, atol=0)
    narrow = torch.cat([tissue, half])[..., :4]  # narrower than the squares in which noise is measured
    assert noise_of(narrow, *soft).tolist() == [[[[0.0]]], [[[0.0]]]]


def test_results_change_by_a_multiple_of_the_noise_and_training_by_all() -> None:
    network = ChainGenerator(1, 2, (1,), largest_change=1.5)
    for layer in network.layers[::2]:
        nn.init.ones_(layer.weight)
    x = striped(40, 10)
    wholly = network(x)
    assert (wholly - x).abs().min() > 0.1
    most = 1.5 * 10 * (1 - 1 / 25) ** 0.5 / 2000
    torch.testing.assert_close(network.eval()(x), x - most, rtol=0, atol=1e-5)


def test_red_cnn_adds_the_slice_and_two_outputs_of_its_encoder() -> None:
    network = RedCnn(3, width=2)
    x = slab(1, 3, 24, 21)
    torch.testing.assert_close(network(x), x[:, 1:2].clamp(min=-1))
    torch.nn.init.normal_(network.decoder[4].weight)
    unit = (x + 1) / 2
    kept, made = [], unit
    for layer in network.encoder:
        kept.append(made := F.relu(layer(made)))
    for layer, shortcut in zip(network.decoder, (kept[3], None, kept[1], None, unit[:, 1:2]), strict=True):
        made = layer(made)
        made = F.relu(made if shortcut is None else made + shortcut)
    assert made.shape == (1, 1, 24, 21)
    torch.testing.assert_close(network(x), 2 * made - 1)


@pytest.mark.parametrize("side", [32, 48, 64, 80])
def test_the_critic_gives_one_value_a_patch_that_depends_on_all_of_it(side: int) -> None:
    critic = PatchCritic(width=2)
    patches = slab(3, 1, side, side).requires_grad_()
    values = critic(patches)
    assert values.shape == (3, 1)
    (slopes,) = torch.autograd.grad(values[0], patches)
    assert (slopes[0] != 0).all()
    assert (slopes[1:] == 0).all()


def test_the_published_critic_has_no_normalisation_and_others_on_request() -> None:
    assert not [part for part in PatchCritic(width=2).modules() if "Norm" in type(part).__name__]
    normed = PatchCritic(width=2, norm="instance", spectral_norm=True)
    assert [type(part).__name__ for part in normed.modules()].count("InstanceNorm2d") == 5
    assert normed(slab(2, 1, 64, 64)).shape == (2, 1)


BUNDLE = Bundle("ldct_wgan_vgg")


class Sum(nn.Module):
    """A critic that adds up a patch."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(dim=1, keepdim=True)


def losses(**weights: float) -> tuple[Losses, Losses]:
    """Of the generator and of the critic, where a slab of two pixels, 1 and 3, is to be 2 and 2 and stays as it is."""
    generator = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(generator.weight)
    given = losses_of(weights, perceptual=lambda ours, theirs: (ours - theirs).abs().sum())
    adversary = AdversarialLoss("wasserstein", gradient_penalty=10)
    method = ConditionalGan(generator, Sum(), given, adversary, conditional=False)
    batch = {"image": torch.tensor([[[[1.0, 3.0]]]]), "label": torch.full((1, 1, 1, 2), 2.0)}
    fakes = method.generate(batch)
    return method.generator_losses(batch, fakes), method.discriminator_losses(batch, fakes)


def test_each_loss_is_the_published_one() -> None:
    generator, critic = losses(adversarial=1, perceptual=1, l2=1)
    assert {name: float(value) for name, value in generator.items()} == {"adversarial": -4, "perceptual": 2, "l2": 1}
    # half of E D(G(x)) - E D(y), 4 - 4, and half of 10 (sqrt(2) - 1)^2: a sum of two pixels has the slope sqrt(2)
    assert float(critic["discriminator"]) == 0
    assert float(critic["discriminator_penalty"]) == pytest.approx(5 * (2**0.5 - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (None, SimpleNamespace(adversarial=1, perceptual=True, l2=False, kind="wasserstein", subtracts=True)),
        ("published", SimpleNamespace(adversarial=1, perceptual=True, l2=False, kind="wasserstein", subtracts=False)),
        ("no_adversarial", SimpleNamespace(adversarial=0, perceptual=True, l2=False, subtracts=True)),
        ("no_perceptual", SimpleNamespace(adversarial=1, perceptual=False, l2=False, kind="wasserstein")),
        ("mse", SimpleNamespace(adversarial=0, perceptual=False, l2=True)),
        ("red_cnn", SimpleNamespace(adversarial=0, perceptual=False, l2=True)),
        ("residual_gan", SimpleNamespace(adversarial=1, perceptual=False, l2=True, kind="bce", subtracts=True)),
        ("thin_slices", SimpleNamespace(adversarial=0, perceptual=False, l2=True, subtracts=True)),
    ],
)
def test_overlays_train_the_rows_of_the_papers(overlay: str | None, expected: SimpleNamespace) -> None:
    parser = BUNDLE.parser("train", "demo", *([overlay] if overlay else []), device=torch.device("cpu"))
    method = parser.get_parsed_content("method")
    assert method.has_adversary is bool(expected.adversarial)
    assert not method.conditional
    assert [method.uses(name) for name in ("perceptual", "l2")] == [expected.perceptual, expected.l2]
    if hasattr(expected, "kind"):
        assert method.adversarial_loss.kind == expected.kind
    if hasattr(expected, "subtracts"):
        assert method.deployed.subtracts is expected.subtracts


TARGET = torch.zeros(2, 1, 4, 4)


def test_it_is_the_mean_of_the_roots_not_the_root_of_the_mean():
    """Errors of .3 and .1: their mean is .2, the root of their mean square .22."""
    wrong = torch.tensor([0.3, 0.1]).reshape(2, 1, 1, 1)
    assert root_mean_squared_error(TARGET + wrong, TARGET).item() == pytest.approx(0.2, rel=1e-4)


def test_the_pull_of_a_patch_does_not_grow_with_its_error():
    """The derivative of each root by its sixteen equal errors is a sixteenth, halved by the mean over two."""
    prediction = (TARGET + torch.tensor([0.3, 0.1]).reshape(2, 1, 1, 1)).requires_grad_()
    root_mean_squared_error(prediction, TARGET).backward()
    assert prediction.grad.flatten().numpy() == pytest.approx(1 / 32, rel=1e-4)


def test_a_patch_without_error_has_a_gradient_of_zero():
    prediction = TARGET.clone().requires_grad_()
    value = root_mean_squared_error(prediction, TARGET)
    value.backward()
    assert value.item() == pytest.approx(math.sqrt(LEAST_SQUARED_ERROR))
    assert prediction.grad.count_nonzero() == 0
