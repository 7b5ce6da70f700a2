"""Updates from gradients: accumulation, moving average, clipping, mixed precision."""

from __future__ import annotations

import contextlib
from functools import partial

import pytest
import torch
from ignite.engine import Events
from test_trainer import D_AFTER, G_AFTER
from torch import Tensor, nn
from toy_networks import Scale
from toy_training import ADAM, Pairs, Toy, convolutions, loader, on, regression, scalars, train, weight_of

from common.losses import AdversarialLoss


@pytest.mark.parametrize("count", [8, 10], ids=["whole windows", "an incomplete last window"])
def test_accumulation_equals_larger_batches(count: int) -> None:
    def run(batch_size: int, steps: int) -> Tensor:
        torch.manual_seed(0)
        method = Toy(nn.Conv2d(1, 1, 3, padding=1), Scale(1.0), l1=5)
        train(method, loader(regression(count), batch_size), epochs=3, accumulation_steps=steps)
        return method.state_dict()["generators.g.weight"]

    torch.testing.assert_close(run(2, 2), run(4, 1), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(run(2, 2), run(2, 1), atol=1e-3)


def test_accumulated_updates_happen_once_a_window_and_at_the_end() -> None:
    weights: list[float] = []
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    note = on(Events.ITERATION_COMPLETED, lambda e: weights.append(round(weight_of(method.generators["g"]), 6)))
    # gradient of |g - 3| is -1 in every step: a mean of -1 a window, whatever its length
    train(method, loader(scalars(*[(1, 3)] * 5)), accumulation_steps=2, train_handlers=[note])
    assert weights == [0.5, 0.6, 0.6, 0.7, 0.8]


def test_moving_average_is_the_recursion() -> None:
    weights: list[float] = []
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    note = on(Events.ITERATION_COMPLETED, lambda e: weights.append(weight_of(method.generators["g"])))
    trainer = train(method, loader(scalars((1, 3), (2, 1), (0.5, 1))), epochs=2, ema_decay=0.75, train_handlers=[note])
    average = weights[0]
    for weight in weights[1:]:
        average = 0.75 * average + 0.25 * weight
    assert trainer.ema is not None
    assert weight_of(trainer.ema.module) == pytest.approx(average, rel=1e-6)
    with trainer.deployed_weights() as network:
        assert network is method.generators["g"]
        assert weight_of(network) == pytest.approx(average, rel=1e-6)
    assert weight_of(method.generators["g"]) == weights[-1]


def test_moving_average_is_put_back_after_an_error() -> None:
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    trainer = train(method, loader(scalars((1, 3))), epochs=3, ema_decay=0.5)
    before = weight_of(method.generators["g"])
    with contextlib.suppress(KeyError), trainer.deployed_weights():
        assert weight_of(method.generators["g"]) != before
        raise KeyError
    assert weight_of(method.generators["g"]) == before


def test_the_deployed_average_has_the_trained_batch_statistics() -> None:
    torch.manual_seed(0)
    method = Toy(nn.BatchNorm2d(1), Scale(1.0), l1=1)
    trainer = train(method, loader(regression(4), 2), ema_decay=0.9)
    mean = method.state_dict()["generators.g.running_mean"].clone()
    assert mean.tolist() != [0.0]
    with trainer.deployed_weights() as network:
        assert torch.equal(network.running_mean, mean)


def test_without_moving_average_the_weights_themselves_are_deployed() -> None:
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    trainer = train(method, loader(scalars((1, 3))))
    with trainer.deployed_weights() as network:
        assert weight_of(network) == pytest.approx(0.6)


def test_clipping_bounds_both_networks() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3))), clip_norm=0.01, optimizer=partial(torch.optim.SGD, lr=1.0))
    assert weight_of(method.discriminators["d"]) == pytest.approx(1 - 0.01, rel=1e-5)
    assert weight_of(method.generators["g"]) == pytest.approx(0.5 + 0.01, rel=1e-5)


def test_gradients_below_the_bound_are_not_changed() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3))), clip_norm=100.0)
    assert weight_of(method.generators["g"]) == pytest.approx(G_AFTER)


@pytest.mark.parametrize("kind", AdversarialLoss.kinds)
def test_bfloat16_trains_and_reports_full_precision_means(kind: str) -> None:
    torch.manual_seed(0)
    method = Toy(*convolutions(), kind=kind, adversarial=0.1, l1=10)
    images = torch.rand(16, 1, 8, 8)
    losses: list[float] = []
    steps: list[float] = []
    note = on(Events.ITERATION_COMPLETED, lambda e: steps.append(float(e.state.output["adversarial"])))
    close = on(Events.EPOCH_COMPLETED, lambda e: losses.append(e.state.metrics["l1"]))
    data = loader(Pairs(images, 1 - images), 2)
    trainer = train(method, data, 12, ADAM, precision="bf16", train_handlers=[note, close])
    assert trainer.state.output["pred"].dtype == torch.bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in method.parameters())
    assert losses[-1] < 0.35 * losses[0]
    # eight bits of mantissa would leave the mean of the last eight steps off by up to a part in 256
    assert trainer.state.metrics["adversarial"] == pytest.approx(sum(steps[-8:]) / 8, rel=1e-5)


def test_float16_on_a_cpu_scales_and_unscales() -> None:
    # the scaler's 2^16 must not reach the weights: the step is that of full precision
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3))), precision="fp16")
    assert weight_of(method.generators["g"]) == pytest.approx(G_AFTER, rel=1e-3)
    assert weight_of(method.discriminators["d"]) == pytest.approx(D_AFTER, rel=1e-3)
