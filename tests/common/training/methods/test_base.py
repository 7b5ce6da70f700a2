"""What every method does with its losses, by hand."""

from __future__ import annotations

import pytest
import torch
from loss_settings import losses_of
from monai.losses import SSIMLoss
from torch import Tensor, nn
from toy_networks import Scale

from common.errors import ConfigError
from common.losses import l1
from common.training.methods.base import GanMethod

BATCH = {"image": torch.tensor([[[[1.0, 2.0]]]]), "label": torch.tensor([[[[3.0, 3.0]]]])}


def inside(pred: Tensor, target: Tensor, lesion: Tensor) -> Tensor:
    """Sum of the errors in the lesion."""
    return ((pred - target).abs() * lesion).sum()


def test_a_function_takes_prediction_and_target_and_by_keyword_what_its_keys_name() -> None:
    """Errors of 2 and 1, the second one in the lesion."""
    losses = {"region": {"weight": 1, "function": inside, "keys": ["lesion"]}, **losses_of({"l2": 3, "l1": 2})}
    method = GanMethod({"g": Scale(1.0)}, {}, losses)
    found = method.generator_losses({**BATCH, "lesion": torch.tensor([[[[0.0, 1.0]]]])}, {"pred": BATCH["image"]})
    assert list(found.items()) == [("region", 1), ("l2", 2.5), ("l1", 1.5)]
    assert method.loss_weights == {"region": 1, "l2": 3, "l1": 2}


def test_a_weight_of_0_computes_nothing_and_needs_no_key() -> None:
    def fails(pred: Tensor, target: Tensor) -> Tensor:
        raise AssertionError

    losses = {"other": {"weight": 0, "function": fails, "keys": ["lesion"]}, **losses_of({"l1": 1})}
    method = GanMethod({"g": Scale(1.0)}, {}, losses)
    method.require_keys(BATCH)
    assert method.generator_losses(BATCH, {"pred": BATCH["image"]}) == {"l1": 1.5}


def test_a_loss_that_is_a_module_is_neither_trained_nor_saved_and_goes_where_the_images_are() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 2, 1)

        def forward(self, pred: Tensor, target: Tensor) -> Tensor:
            return l1(self.layer(pred), self.layer(target))

    features = Features()
    method = GanMethod(
        {"g": Scale(1.0)}, {}, losses_of({"features": 1, "ssim": 1}, features=features, ssim=SSIMLoss(2))
    )
    assert list(method.state_dict()) == ["generators.g.weight"]
    assert [name for name, _ in method.named_parameters()] == ["generators.g.weight"]
    assert not any(weight.requires_grad for weight in features.parameters())
    method.distance("features", {"label": BATCH["label"].to("meta")}, BATCH["image"].to("meta"))
    assert {weight.device.type for weight in features.parameters()} == {"meta"}


def test_images_that_are_not_paired_are_not_compared() -> None:
    class Unpaired(GanMethod):
        terms = ("cycle",)
        paired = False

    Unpaired({"g": Scale(1.0)}, {}, losses_of({"cycle": 1, "l2": 0}))
    message = r"images that are not paired cannot be compared \(from --losses::l2\): set its weight to 0, or train on"
    with pytest.raises(ConfigError, match=message):
        Unpaired({"g": Scale(1.0)}, {}, losses_of({"cycle": 1, "l2": 1}))
