"""Losses of WGAN-VGG, written out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from bundle_commands import Bundle
from loss_settings import losses_of
from torch import Tensor, nn

from common.losses import AdversarialLoss
from common.training.methods.base import Losses
from common.training.methods.conditional import ConditionalGan

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


def test_a_loss_without_a_weight_is_not_computed() -> None:
    generator, critic = losses(adversarial=0, perceptual=0, l2=1)
    assert generator.keys() == {"l2"}
    assert critic == {}


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
