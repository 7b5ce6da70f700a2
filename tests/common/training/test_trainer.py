"""The trainer on networks of one weight: steps, epochs and results worked out by hand."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from ignite.engine import Events
from loss_settings import losses_of
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import nn
from toy_networks import Scale
from toy_training import ADAM, Pairs, Toy, convolutions, loader, on, regression, scalars, train, weight_of

from common.errors import ConfigError
from common.training import ConstantThenLinear, SynthesisTrainer
from common.training.methods.base import Batch, GanMethod, Losses

NAMES = ("discriminator", "adversarial", "l1", "loss")

# G(x) = g x with g = 0.5, D(y) = d y with d = 1, x = 1, y = 3, least squares, weights 1 and 2, rate 0.1.
# D: L = 0.5 [(3d - 1)^2 + (0.5d)^2] = 0.5 [4 + 0.25] = 2.125; dL/dd = 3 (3d - 1) + 0.25 d = 6.25; d' = 0.375
# G sees d': adversarial = (0.375 * 0.5 - 1)^2 = 0.66015625; its gradient 2 (-0.8125) 0.375 = -0.609375
# L1 = 2.5, its gradient -1, twice: g' = 0.5 + 0.1 (0.609375 + 2) = 0.7609375
D_LOSS, D_GRADIENT, D_AFTER = 2.125, 6.25, 0.375
G_ADVERSARIAL, G_AFTER = 0.66015625, 0.7609375


def test_the_discriminator_moves_first_and_the_generator_faces_it_moved() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    outputs = []
    handler = on(IterationEvents.MODEL_COMPLETED, lambda engine: outputs.append(engine.state.output))
    trainer = train(method, loader(scalars((1, 3))), train_handlers=[handler])
    assert weight_of(method.discriminators["d"]) == pytest.approx(D_AFTER)
    assert weight_of(method.generators["g"]) == pytest.approx(G_AFTER)
    losses = {"loss": G_ADVERSARIAL + 5, "discriminator": D_LOSS, "adversarial": G_ADVERSARIAL, "l1": 2.5}
    assert {name: trainer.state.metrics[name] for name in losses} == pytest.approx(losses)
    (output,) = outputs
    assert not any(value.requires_grad for value in output.values())
    found = {name: float(value) for name, value in output.items()}
    assert found == pytest.approx({"image": 1, "label": 3, "pred": 0.5, **losses})
    assert isinstance(trainer, SupervisedTrainer)
    assert trainer.network is method
    assert method.deployed is method.generators["g"]


def test_weight_zero_leaves_the_discriminator_alone() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=0, l1=2)
    schedule = partial(ConstantThenLinear, constant_epochs=1, decay_epochs=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PyTorch's, of a schedule whose optimiser had no step
        train(method, loader(scalars((1, 3))), schedule=schedule)
    assert len(method.discriminators["d"].given) == 0
    assert weight_of(method.discriminators["d"]) == 1.0
    assert weight_of(method.generators["g"]) == pytest.approx(0.7)


def test_one_forward_of_the_generator_a_step_and_three_of_the_discriminator() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3), (2, 1), (0, 1))), epochs=2)
    assert len(method.generators["g"].given) == 6
    assert len(method.discriminators["d"].given) == 18


def test_gradients_reach_the_networks_they_are_for_and_no_other() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    g, d = (next(network.parameters()) for network in (method.generators["g"], method.discriminators["d"]))
    seen: dict[str, tuple] = {}
    first: dict[str, tuple] = {}

    def note(name: str) -> Callable:
        def look(engine: SynthesisTrainer) -> None:
            gradients = [each.grad if each.grad is None else float(each.grad) for each in (g, d)]
            seen[name] = (*gradients, d.requires_grad)

        return look

    handlers = [
        on(IterationEvents.LOSS_COMPLETED, note("before the generator's backward")),
        on(IterationEvents.BACKWARD_COMPLETED, note("after it")),
        on(IterationEvents.MODEL_COMPLETED, note("at the end")),
    ]
    # two batches a window: the discriminator's gradient of the first is still there in the generator's step
    handlers.append(on(Events.ITERATION_COMPLETED(once=1), lambda engine: first.update(seen)))
    train(method, loader(scalars((1, 3), (1, 3))), accumulation_steps=2, train_handlers=handlers)
    assert first["before the generator's backward"] == (None, pytest.approx(D_GRADIENT / 2), False)
    # d = 1 has not moved: adversarial gradient 2 (0.5 - 1) 1 = -1, with L1 -3, halved
    assert first["after it"] == (pytest.approx(-1.5), pytest.approx(D_GRADIENT / 2), False)
    assert first["at the end"] == (pytest.approx(-1.5), pytest.approx(D_GRADIENT / 2), True)
    assert seen["at the end"] == (None, None, True)


def test_freezing_ends_when_a_loss_raises() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=1)
    method.losses["l1"] = method.losses["l1"]._replace(function=lambda ours, theirs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(method, loader(scalars((1, 3))))
    assert method.discriminators["d"].weight.requires_grad


def test_without_discriminators_only_the_generator_is_trained() -> None:
    class Plain(GanMethod):
        def generate(self, batch: Batch) -> Losses:
            return {"pred": self.generators["g"](batch["image"])}

    method = Plain({"g": Scale(0.5)}, {}, losses_of({"l1": 2}))
    trainer = train(method, loader(scalars((1, 3))))
    assert weight_of(method.deployed) == pytest.approx(0.7)
    assert list(trainer.optimizers) == ["generators"]


def test_a_key_that_the_data_lack_is_refused_before_the_first_step() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    method.losses["l1"] = method.losses["l1"]._replace(keys=("lesion",))
    message = r"no lesion in the training data \(from --losses::l1::keys\): a batch has image, label$"
    with pytest.raises(ConfigError, match=message):
        train(method, loader(scalars((1, 3))))
    assert (weight_of(method.generators["g"]), weight_of(method.discriminators["d"])) == (0.5, 1.0)
    assert method.discriminators["d"].given == []


# ---- an epoch -----------------------------------------------------------------------------------------------------


def test_a_method_of_pairs_is_refused_on_images_and_targets_drawn_apart() -> None:
    """Overlays may combine to this: that of unpaired training before one of a regression."""
    unpaired = scalars((1, 3))
    unpaired.paired = False  # type: ignore[attr-defined]
    method = Toy(Scale(1.0), Scale(1.0), l1=1)
    with pytest.raises(ConfigError, match=r"^Toy compares images with their targets, which Pairs draws apart: name an"):
        train(method, loader(unpaired))
    method.paired = False
    train(method, loader(unpaired))


def test_named_losses_are_averaged_over_each_epoch() -> None:
    steps: list[dict[str, float]] = []
    means: list[dict[str, float]] = []
    note = on(Events.ITERATION_COMPLETED, lambda e: steps.append({n: float(e.state.output[n]) for n in NAMES}))
    close = on(Events.EPOCH_COMPLETED, lambda e: means.append(dict(e.state.metrics)))
    data = loader(scalars((1, 3), (2, 1), (0.5, 1), (1, -1), (3, 2)), batch_size=2)
    train(Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2), data, epochs=2, train_handlers=[note, close])
    assert len(steps) == 6
    for epoch, mean in enumerate(means):
        for name in NAMES:
            expected = sum(step[name] for step in steps[3 * epoch : 3 * epoch + 3]) / 3
            assert mean[name] == pytest.approx(expected, rel=1e-6), name
    assert means[0]["l1"] != means[1]["l1"]


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


def test_clipping_bounds_both_networks() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3))), clip_norm=0.01, optimizer=partial(torch.optim.SGD, lr=1.0))
    assert weight_of(method.discriminators["d"]) == pytest.approx(1 - 0.01, rel=1e-5)
    assert weight_of(method.generators["g"]) == pytest.approx(0.5 + 0.01, rel=1e-5)


def test_gradients_below_the_bound_are_not_changed() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    train(method, loader(scalars((1, 3))), clip_norm=100.0)
    assert weight_of(method.generators["g"]) == pytest.approx(G_AFTER)


@pytest.mark.parametrize("kind", ["least_squares", "wasserstein"])
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
