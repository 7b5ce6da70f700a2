"""The error in which strong noise does not outweigh weak noise."""

from __future__ import annotations

import math

import pytest
import torch
from ldct_wgan_vgg.losses import LEAST_SQUARED_ERROR, root_mean_squared_error

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
