from __future__ import annotations

import math

import pytest
import torch
from lesion_dcgan_aug.augment import ClassicAugmentation
from lesion_dcgan_aug.latent import Latent, LatentDataset
from lesion_dcgan_aug.method import AcGan, ClassGans
from lesion_dcgan_aug.networks import (
    AcganDiscriminator,
    ClassDiscriminators,
    ClassGenerators,
    ConditionalGenerator,
    DcganDiscriminator,
    DcganGenerator,
)
from lesion_dcgan_aug.study.classifier import LesionClassifier, train_classifier
from loss_settings import losses_of
from torch import nn
from toy_networks import parameters

from common.data.sample_requests import requests
from common.errors import ConfigError
from common.losses import AdversarialLoss


def kinds(module):
    return [type(part).__name__ for part in module.modules() if not list(part.children())]


def lively(network, classes=3):
    """With the batch statistics of a pass, since those before the first one leave hardly any contrast."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    network.train().per_class(torch.rand(16, classes, network.latent_dim) * 2 - 1)
    return network.eval()


# ---- networks ------------------------------------------------------------------------------------------------------


def test_the_published_generator():
    network = DcganGenerator()
    layers = [part for part in network.modules() if isinstance(part, nn.ConvTranspose2d)]
    assert [(part.in_channels, part.out_channels) for part in layers] == [(1024, 512), (512, 256), (256, 128), (128, 1)]
    assert {(part.kernel_size, part.stride) for part in layers} == {((5, 5), (2, 2))}
    assert kinds(network) == ["Linear", "Unflatten", *["BatchNorm2d", "ReLU", "ConvTranspose2d"] * 4, "Tanh"]
    convolutions = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128) + 1
    assert parameters(network) == 100 * 4 * 4 * 1024 + convolutions + 2 * (1024 + 512 + 256 + 128)
    assert network(torch.rand(2, 100)).shape == (2, 1, 64, 64)


def test_the_published_discriminator():
    network = DcganDiscriminator()
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in layers] == [64, 128, 256, 512]
    assert {(part.kernel_size, part.stride) for part in layers} == {((5, 5), (2, 2))}
    assert kinds(network) == ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3, "Flatten", "Linear"]
    assert {part.negative_slope for part in network.modules() if isinstance(part, nn.LeakyReLU)} == {0.2}
    assert (
        parameters(network) == 25 * (64 + 64 * 128 + 128 * 256 + 256 * 512) + 64 + 2 * (128 + 256 + 512) + 512 * 16 + 1
    )


def test_the_published_discriminator_of_the_acgan():
    network = AcganDiscriminator()
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in layers] == [16, 32, 64, 128, 256, 512]
    assert {part.kernel_size for part in layers} == {(3, 3)}
    assert [part.stride for part in layers] == [(2, 2), (1, 1)] * 3, "every odd layer is strided"
    block = ["Conv2d", "BatchNorm2d", "LeakyReLU", "Dropout"]
    assert kinds(network) == ["Conv2d", "LeakyReLU", "Dropout", *block * 5, "Flatten", "Linear"]
    assert [part.p for part in network.modules() if isinstance(part, nn.Dropout)] == [0.5] * 6
    convolutions = 160 + 4_608 + 18_432 + 73_728 + 294_912 + 1_179_648
    assert parameters(network) == convolutions + 1_984 + 131_076 == 1_704_548, "and BatchNorm, and 8 x 8 x 512 to 4"
    assert network(torch.rand(2, 1, 64, 64)).shape == (2, 4)


def test_each_row_is_made_by_the_generator_of_its_class():
    torch.manual_seed(0)
    network = lively(ClassGenerators(classes=3, latent_dim=5, width=2))
    z = torch.rand(4, 5) * 2 - 1
    labels = [2, 0, 2, 1]
    rows = torch.cat([z, torch.eye(3)[labels]], dim=1)
    expected = torch.cat([network.generators[k](z[i : i + 1]) for i, k in enumerate(labels)])
    assert torch.allclose(network(rows), expected, atol=1e-6)
    assert not torch.allclose(network.generators[0](z), network.generators[1](z), atol=0.01)


@pytest.mark.parametrize("kind", [ClassGenerators, ConditionalGenerator])
def test_training_and_inference_run_the_same_network(kind):
    torch.manual_seed(0)
    network = lively(kind(classes=3, latent_dim=5, width=2))
    z = torch.rand(4, 3, 5)
    beside = network.per_class(z)
    assert beside.std() > 0.05
    for k in range(3):
        rows = torch.cat([z[:, k], torch.eye(3)[k].expand(4, -1)], dim=1)
        assert torch.allclose(network(rows)[:, 0], beside[:, k], atol=1e-6)


def test_each_channel_is_scored_by_the_discriminator_of_its_class():
    network = ClassDiscriminators(classes=3, width=2).eval()
    x = torch.rand(2, 3, 64, 64)
    changed = x.clone()
    changed[:, 1] += 1
    moved = (network(changed) - network(x)).abs()
    assert (moved[:, 1] > 0).all()
    assert (moved[:, [0, 2]] == 0).all()


# ---- latent vectors --------------------------------------------------------------------------------------------------


def test_latents_are_uniform_in_training_and_inference_alike():
    latent = Latent(dim=100, classes=3)
    drawn = latent.draw(400, 3, generator=torch.Generator().manual_seed(0))
    seeded = latent.seeded(range(1200))
    for z in (drawn.flatten(), seeded.flatten()):
        assert z.abs().max() <= 1
        assert (z.sort().values - torch.linspace(-1, 1, z.numel())).abs().max() < 0.02


def test_more_samples_begin_with_the_same_ones_and_all_seeds_differ():
    few, many = requests(["a", "b"], 3, seed=5), requests(["a", "b"], 9, seed=5)
    by_case = {item["case"]: item for item in many}
    assert [by_case[item["case"]] for item in few] == few
    assert len({item["seed"] for item in many}) == 18
    assert {item["seed"] for item in requests(["a", "b"], 3, seed=6)}.isdisjoint(item["seed"] for item in many)
    data = LatentDataset(many, Latent(4, 2))
    assert data[12]["case"] == "b_00003"
    assert data[12]["image"][4:].tolist() == [0, 1]
    with pytest.raises(ConfigError, match="--samples is 0, below 1: raise it"):
        requests(["a"], 0, 0)


# ---- augmentation ---------------------------------------------------------------------------------------------------


def still(**settings):
    """An augmentation that does nothing but what is asked."""
    return ClassicAugmentation(**{"rotation": 0, "flip": False, "translation": 0, "scale": (1, 1), **settings})


def test_half_of_the_patches_are_mirrored():
    x = torch.rand(200, 1, 4, 4)
    y = still(flip=True)(x, torch.Generator().manual_seed(0))
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(y, x, strict=True)]
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_maps_rotate_scale_and_shift_as_much_as_they_say():
    generator = torch.Generator().manual_seed(1)
    maps = ClassicAugmentation(30, True, 0.1, (0.8, 1.25)).matrices(2000, generator)
    determinant = maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0]
    factor = 1 / determinant.abs().sqrt()
    assert 0.8 <= factor.min() < 0.81
    assert 1.24 < factor.max() <= 1.25
    angle = torch.atan2(maps[:, 0, 1].neg(), maps[:, 1, 1]).rad2deg()
    assert 29 < angle.abs().max() <= 30
    assert 0.195 < maps[:, :, 2].abs().max() <= 0.2, "a tenth of a side that is 2 long"


def test_a_shift_moves_the_lesion_and_mirrors_beyond_the_border():
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 4, 4] = 1
    moved = still(translation=0.25)
    moved.matrices = lambda count, generator: torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]])
    assert moved(x, torch.Generator())[0, 0].nonzero().tolist() == [[4, 2]], "two pixels of eight"


# ---- classifier -----------------------------------------------------------------------------------------------------


def test_the_classifier_has_three_pairs_and_two_layers():
    network = LesionClassifier(3, width=4)
    expected = ["Conv2d", "ReLU", "MaxPool2d"] * 3 + ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert kinds(network) == expected
    assert network(torch.rand(2, 1, 64, 64)).shape == (2, 3)


def test_normalisation_is_that_of_the_training_patches():
    patches = torch.rand(20, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.3
    model = train_classifier(patches, torch.arange(20) % 2, 2, seed=0, width=2, steps=1)
    assert model.mean.item() == pytest.approx(patches.mean().item())
    assert model.deviation.item() == pytest.approx(patches.std().item())


def test_it_learns_what_is_plain_and_repeats_itself():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    patches = 0.3 * torch.randn(60, 1, 64, 64, generator=generator)
    for k in range(3):
        patches[labels == k, :, 20 * k : 20 * k + 20] += 0.5
    settings = {"seed": 1, "width": 4, "steps": 40, "batch_size": 20, "learning_rate": 0.05}
    model = train_classifier(patches[:45], labels[:45], 3, **settings)
    again = train_classifier(patches[:45], labels[:45], 3, **settings)
    assert (model.predict(patches[45:]) == labels[45:]).all()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_epochs_are_passes_over_the_patches():
    """Five patches in batches of two are three updates an epoch."""
    patches, labels = torch.rand(5, 1, 64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 2
    settings = {"seed": 0, "width": 2, "batch_size": 2}
    one, other = (
        train_classifier(patches, labels, 2, **settings, **length) for length in ({"epochs": 3}, {"steps": 9})
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


CLASSES = ["cyst", "met", "heman"]
LOSS = AdversarialLoss("bce", discriminator_factor=1.0)


class Fixed(nn.Module):
    """Gives the logits it was given, whatever it sees."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = [torch.tensor(rows) for rows in logits]
        self.turn = -1

    def forward(self, x):
        self.turn += 1
        return self.logits[self.turn % len(self.logits)]


def bce(logit, target):
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if target else 1 - probability)


def gans(discriminator, generator=None):
    generator = generator or ClassGenerators(3, 4, 1)
    return ClassGans(generator, discriminator, Latent(4, 3), CLASSES, losses_of({"adversarial": 1}), LOSS)


def test_losses_of_each_class_by_hand():
    method = gans(Fixed([[1.0, 2.0, 3.0]], [[-1.0, 0.5, 0.0]]))
    batch = {"image": torch.zeros(1, 3, 64, 64)}
    losses = method.discriminator_losses(batch, {"pred": torch.zeros(1, 3, 64, 64)})
    assert {name: value.item() for name, value in losses.items()} == {
        "discriminator_cyst": pytest.approx(bce(1, True) + bce(-1, False)),
        "discriminator_met": pytest.approx(bce(2, True) + bce(0.5, False)),
        "discriminator_heman": pytest.approx(bce(3, True) + bce(0, False)),
    }
    method = gans(Fixed([[1.0, 2.0, 3.0]]))
    losses = method.generator_losses(batch, {"pred": torch.zeros(1, 3, 64, 64)})
    assert losses["adversarial"].item() == pytest.approx(bce(1, True) + bce(2, True) + bce(3, True))


def test_a_class_trains_as_if_it_were_alone():
    """The gradient of one class's generator does not depend on the other classes' networks or patches."""

    def gradient(other_patches):
        torch.manual_seed(0)
        method = gans(ClassDiscriminators(3, 1))
        batch = {"image": torch.zeros(2, 3, 64, 64)}
        batch["image"][:, 1:] = other_patches
        torch.manual_seed(1)
        fakes = method.generate(batch)
        sum(method.discriminator_losses(batch, {"pred": fakes["pred"].detach()}).values()).backward()
        method.generator_losses(batch, fakes)["adversarial"].backward()
        own = [method.deployed.generators[0], method.discriminators["discriminator"].discriminators[0]]
        return torch.cat([p.grad.flatten() for part in own for p in part.parameters()])

    assert torch.equal(gradient(0.3), gradient(-0.8))


def test_acgan_losses_by_hand():
    real = [[2.0, 1.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 5.0]]
    fake = [[-1.0, 0.0, 0.0, 0.0]] * 3
    losses = losses_of({"adversarial": 1, "class": 2})
    method = AcGan(ConditionalGenerator(3, 4, 1), Fixed(real, fake), Latent(4, 3), CLASSES, losses, LOSS)
    batch = {"image": torch.zeros(1, 3, 64, 64)}
    losses = method.discriminator_losses(batch, {"pred": torch.zeros(1, 3, 64, 64)})
    named = [-math.log(math.e / (math.e + 2)), math.log(3), -math.log(math.exp(5) / (math.exp(5) + 2))]
    assert losses["discriminator"].item() == pytest.approx(bce(2, True) + bce(-1, False))
    assert losses["discriminator_class"].item() == pytest.approx(2 * (sum(named) / 3 + math.log(3)), rel=1e-5)
    method.discriminators["discriminator"].turn = 0
    losses = method.generator_losses(batch, {"pred": torch.zeros(1, 3, 64, 64)})
    assert losses["adversarial"].item() == pytest.approx(bce(-1, True))
    assert losses["class"].item() == pytest.approx(math.log(3)), "unweighted: the trainer has the weights"


def test_acgan_classifies_each_channel_by_its_own_class():
    method = AcGan(
        ConditionalGenerator(3, 4, 1), AcganDiscriminator(3, 4).eval(), Latent(4, 3), CLASSES,
        losses_of({"adversarial": 1, "class": 1}), LOSS,
    )  # fmt: skip
    patches = torch.rand(2, 3, 64, 64)
    verdicts, wrong = method._verdicts(patches)
    logits = method.discriminators["discriminator"](patches[1, 2][None, None])
    assert verdicts[5].item() == pytest.approx(logits[0, 0].item(), abs=1e-6)
    each = [method.discriminators["discriminator"](patches[i, k][None, None])[0, 1:].log_softmax(0)[k]
            for i in range(2) for k in range(3)]  # fmt: skip
    assert wrong.item() == pytest.approx(-sum(each).item() / 6, abs=1e-5)
