"""The squared error in which strong and weak noise weigh the same."""

from __future__ import annotations

import pytest
import torch
from ldct_wgan_vgg.losses import LEAST_ERROR, relative_squared_error
from torch import Tensor


def batch() -> tuple[Tensor, Tensor]:
    """Slabs of three slices whose central ones are .2 and .02 wrong, and the truth."""
    target = torch.zeros(2, 1, 4, 4)
    noise = torch.tensor([0.2, 0.02]).reshape(2, 1, 1, 1)
    return torch.cat([target + 1, target + noise, target - 1], dim=1), target


def test_the_input_itself_has_one_and_half_of_each_noise_a_quarter():
    image, target = batch()
    assert relative_squared_error(image[:, 1:2], target, image).item() == pytest.approx(1, rel=2e-3)
    assert relative_squared_error(image[:, 1:2] / 2, target, image).item() == pytest.approx(0.25, rel=2e-3)


def test_weak_noise_left_weighs_as_much_as_strong_noise_left():
    image, target = batch()
    for kept in (0, 1):
        restored = target.clone()
        restored[kept] = image[kept, 1]
        assert relative_squared_error(restored, target, image).item() == pytest.approx(0.5, rel=3e-3)


def test_an_input_without_noise_has_a_limit():
    truth = torch.zeros(1, 1, 2, 2)
    assert relative_squared_error(truth + 0.01, truth, truth).item() == pytest.approx(1e-4 / LEAST_ERROR)
