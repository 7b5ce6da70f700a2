from __future__ import annotations

import pytest
import torch
from loss_settings import losses_of
from torch import nn

from common.losses import AdversarialLoss
from common.plan.cost import MARGIN, WORKSPACE, step_cost, without_values
from common.training.methods.conditional import ConditionalGan


def method(weight=0.0):
    judge = nn.Conv2d(2, 1, 3, padding=1, bias=False)
    generator, losses = nn.Conv2d(1, 1, 3, padding=1, bias=False), losses_of({"l1": 1.0, "adversarial": weight})
    return without_values(ConditionalGan(generator, judge, losses, AdversarialLoss("bce")))


def test_operations_of_one_convolution_by_hand():
    # 2 * 9 operations a pixel forwards, as many for the gradient of the weights; none for that of the input
    assert step_cost(method(), 2, 1, (16, 16), []).operations == 2 * (2 * 16 * 16 * 2 * 9)


def test_operations_of_an_adversary_by_hand():
    pixels = 2 * 16 * 16
    generator = 2 * pixels * 2 * 9
    one = pixels * 2 * 18  # of the discriminator, which sees two channels
    discriminator = 2 * 2 * one  # real and fake, forwards and for its weights
    against = 2 * one  # forwards, and for its input
    assert step_cost(method(1.0), 2, 1, (16, 16), []).operations == generator + discriminator + against


def test_memory_grows_with_the_batch_and_holds_weights_moments_and_images():
    few, many = (step_cost(method(), size, 1, (64, 64), []).memory for size in (1, 5))
    images = 3 * 4 * 64 * 64  # image, label and context in float32
    assert few >= WORKSPACE + MARGIN * images
    assert many - few >= MARGIN * 4 * (images + 4 * 64 * 64)  # and the prediction
    assert many - few <= MARGIN * 4 * 16 * 4 * 64 * 64  # with a workspace of eight channels


def test_nothing_is_computed_and_weights_stay_without_values():
    found = method()
    step_cost(found, 1, 1, (1 << 13, 1 << 13), [])
    assert {each.device for each in found.parameters()} == {torch.device("meta")}


def test_a_batch_has_regions_and_their_counts():
    seen = {}

    class Regions(ConditionalGan):
        def generate(self, batch):
            seen.update({key: tuple(value.shape) for key, value in batch.items()})
            return super().generate(batch)

    found = Regions(nn.Conv2d(3, 1, 1), nn.Conv2d(4, 1, 1), losses_of({"l1": 1.0}), AdversarialLoss("bce"))
    step_cost(without_values(found), 2, 3, (8, 8), ["lesion", "nawm"])
    assert seen["image"] == (2, 3, 8, 8)
    assert seen["nawm"] == seen["label"] == seen["context"] == (2, 1, 8, 8)
    assert seen["region_counts"] == (2, 3)
    assert pytest.approx(1.25) == MARGIN
