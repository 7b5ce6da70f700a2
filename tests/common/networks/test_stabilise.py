"""Stabilised discriminators: singular values, what compares the images of a batch, and norms."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from lesion_dcgan_aug.networks import AcganDiscriminator, ClassDiscriminators
from pd2t2_dcgan_acm.networks import PatchClassifier
from torch import nn

from common.errors import ConfigError
from common.networks import stabilise
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.virtual_norm import ReferenceBatch, VirtualNorm, WithoutReference

VOLUME = (2, 1, 16, 16, 16)
FLAT = {"in_channels": 1, "width": 4, "layers": 2}
ALL = {
    "patches": (PatchGanDiscriminator, FLAT, (3, 1, 32, 32)),
    "patches in 3-D": (PatchGanDiscriminator, {**FLAT, "spatial_dims": 3}, VOLUME),
    "patch": (PatchClassifier, {"conditional": False, "width": 2, "patch_size": (16, 16, 16)}, VOLUME),
    "classes": (ClassDiscriminators, {"classes": 2, "width": 4}, (3, 2, 64, 64)),
    "class": (AcganDiscriminator, {"classes": 2, "width": 8}, (3, 1, 64, 64)),
}


@pytest.mark.parametrize("name", ALL)
def test_every_discriminator_takes_every_setting(name: str) -> None:
    made, sizes, shape = ALL[name]
    images = torch.rand(shape)
    torch.manual_seed(0)
    plain = made(**sizes)
    outputs = plain(images)
    norms = [{"norm": norm} for norm in ("instance", "virtual", "none")]
    for settings in (
        *norms,
        {"spectral_norm": True},
        *([{"minibatch_discrimination": True}] if made is ClassDiscriminators else []),
    ):
        torch.manual_seed(0)
        changed = made(**sizes, **settings)
        found = changed(images)
        assert found.shape == outputs.shape
        assert not torch.allclose(found, outputs)
        found.sum().backward()
        assert all(weight.grad is not None for weight in changed.parameters())
    for norm, allowed in {"instance": {"InstanceNorm2d", "InstanceNorm3d"}, "virtual": {"VirtualNorm"}}.items():
        layers = {type(layer).__name__ for layer in made(**sizes, norm=norm).modules()}
        assert {name for name in layers if "Norm" in name} <= allowed
        assert layers & allowed
    with pytest.raises(
        ConfigError, match="--discriminator_def::norm is 'layer': choose batch, instance, virtual or none"
    ):
        made(**sizes, norm="layer")


@pytest.mark.parametrize("name", ALL)
def test_a_default_discriminator_has_the_weights_it_had(name: str) -> None:
    made, sizes, _ = ALL[name]
    torch.manual_seed(0)
    drawn = made(**sizes)
    after = torch.rand(1)
    torch.manual_seed(0)
    made(**sizes, norm="batch", spectral_norm=False)
    assert torch.equal(torch.rand(1), after)
    assert not any("parametrizations" in key for key in drawn.state_dict())


def test_spectral_norm_makes_the_largest_singular_value_one() -> None:
    torch.manual_seed(0)
    discriminator = PatchGanDiscriminator(1, 4, 2, spectral_norm=True)
    for _ in range(50):
        discriminator(torch.rand(2, 1, 32, 32))
    weights = [layer.weight for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert len(weights) == 4
    for weight in weights:
        largest = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
        assert float(largest.detach()) == pytest.approx(1, abs=0.02)


def test_minibatch_discrimination_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stabilise, "KERNELS", 2)
    monkeypatch.setattr(stabilise, "KERNEL_SIZE", 2)
    layer = stabilise.MinibatchDiscrimination(2)
    with torch.no_grad():
        # features (a, b) have the rows (a, a) and (b, 0)
        layer.tensor.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    x = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.5, 2.0]])
    made = layer(x)
    assert torch.equal(made[:, :2], x)
    one, two = math.exp(-1), math.exp(-2)  # distances of the rows: 2 * 0.5, and 2
    torch.testing.assert_close(made[:, 2], torch.tensor([1 + 2 * one, 2 + one, 2 + one]))
    torch.testing.assert_close(made[:, 3], torch.tensor([2 + two, 2 + two, 1 + 2 * two]))
    layer(torch.ones(3, 2, requires_grad=True)).sum().backward()
    assert layer.tensor.weight.grad is not None
    assert not layer.tensor.weight.grad.any(), "equal images have no direction"


def virtual(*layers: nn.Module) -> nn.Sequential:
    """A chain of one feature with virtual batch normalisation, without weights of its own."""
    reference = ReferenceBatch(nn.Sequential(*layers))
    return nn.Sequential(reference, *layers, VirtualNorm(1, reference), WithoutReference(reference))


def test_virtual_norm_by_hand() -> None:
    chain = virtual()
    reference = torch.tensor([[[0.0, 2.0]], [[2.0, 4.0]]])
    # the reference has mean 2 and mean square 6; with (5, 5) as a third image 3 and 37 / 3: variance 10 / 3
    first = chain(reference)
    torch.testing.assert_close(chain(torch.tensor([[[5.0, 5.0]]])), torch.full((1, 1, 2), 2 / (10 / 3) ** 0.5))
    # (0, 2) has mean 1 and mean square 2: 5 / 3 and 14 / 3, variance 17 / 9
    torch.testing.assert_close(first[0, 0], torch.tensor([-5.0, 1.0]) / 17**0.5)
    with torch.no_grad():
        chain[1].weight.fill_(3), chain[1].bias.fill_(1)
    torch.testing.assert_close(chain(reference)[0, 0], torch.tensor([-5.0, 1.0]) / 17**0.5 * 3 + 1)


def test_with_virtual_norm_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    discriminator = PatchGanDiscriminator(1, 4, 2, norm="virtual")
    discriminator(torch.rand(4, 1, 32, 32))
    images = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(discriminator(images)[1:2], discriminator(images[1:2]))


def test_the_reference_is_the_first_batch_of_the_training_and_is_saved() -> None:
    linear = nn.Linear(1, 1)
    chain = virtual(linear)
    linear.requires_grad_(False)
    chain(torch.zeros(2, 1))  # a generator's step
    assert len(chain[0].batch) == 0
    linear.requires_grad_(True)
    real = torch.tensor([[1.0], [2.0], [3.0]])
    chain(real)
    chain(torch.zeros(2, 1))
    assert torch.equal(chain[0].batch, real)
    loaded = virtual(nn.Linear(1, 1))
    loaded.load_state_dict(chain.state_dict())
    torch.testing.assert_close(loaded(real), chain(real))
    copied = copy.deepcopy(chain)
    chain[0].batch.zero_()
    torch.testing.assert_close(copied(real), loaded(real))


def test_the_comparison_of_a_batch_and_virtual_norm_go_together() -> None:
    layers = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LeakyReLU(), stabilise.comparing(nn.Linear(3, 1)))
    stabilise.stabilise(layers, "virtual", True)
    assert layers[-1][-1][-1].in_features == 3 + 100
    assert layers(torch.rand(4, 2)).shape == (4, 1)
