import math

import pytest
import torch
from lesion_dcgan_aug.latent import Latent
from lesion_dcgan_aug.method import AcGan, ClassGans
from lesion_dcgan_aug.networks import AcganDiscriminator, ClassDiscriminators, ClassGenerators, ConditionalGenerator
from loss_settings import losses_of
from torch import nn

from common.losses import AdversarialLoss

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


def test_as_many_patches_of_each_class_are_made_as_are_real():
    method = gans(ClassDiscriminators(3, 1))
    made = method.generate({"image": torch.zeros(5, 3, 64, 64)})["pred"]
    assert made.shape == (5, 3, 64, 64)
    assert -1 <= made.min() < made.max() <= 1


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
