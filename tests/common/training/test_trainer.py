"""The trainer on networks of one weight: steps, epochs and results worked out by hand."""

from __future__ import annotations

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
from toy_training import Pairs, Toy, convolutions, loader, on, scalars, train, weight_of

from common.errors import ConfigError
from common.losses import l1
from common.training import SynthesisTrainer
from common.training.methods.base import Batch, GanMethod, Losses
from common.training.schedules import ConstantThenLinear

NAMES = ("discriminator", "adversarial", "l1", "loss")

# G(x) = g x with g = 0.5, D(y) = d y with d = 1, x = 1, y = 3, least squares, weights 1 and 2, rate 0.1.
# D: L = 0.5 [(3d - 1)^2 + (0.5d)^2] = 0.5 [4 + 0.25] = 2.125; dL/dd = 3 (3d - 1) + 0.25 d = 6.25; d' = 0.375
# G sees d': adversarial = (0.375 * 0.5 - 1)^2 = 0.66015625; its gradient 2 (-0.8125) 0.375 = -0.609375
# L1 = 2.5, its gradient -1, twice: g' = 0.5 + 0.1 (0.609375 + 2) = 0.7609375
D_LOSS, D_GRADIENT, D_AFTER = 2.125, 6.25, 0.375
G_ADVERSARIAL, G_AFTER = 0.66015625, 0.7609375


def _step(adversarial: float, l1: float) -> Toy:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=adversarial, l1=l1)
    train(method, loader(scalars((1, 3))))
    return method


def test_the_discriminator_moves_first_and_the_generator_faces_it_moved() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    trainer = train(method, loader(scalars((1, 3))))
    assert weight_of(method.discriminators["d"]) == pytest.approx(D_AFTER)
    assert weight_of(method.generators["g"]) == pytest.approx(G_AFTER)
    assert trainer.state.metrics["discriminator"] == pytest.approx(D_LOSS)
    assert trainer.state.metrics["adversarial"] == pytest.approx(G_ADVERSARIAL)
    assert trainer.state.metrics["l1"] == pytest.approx(2.5)
    assert trainer.state.metrics["loss"] == pytest.approx(G_ADVERSARIAL + 2 * 2.5)


def test_the_adversarial_term_alone_moves_the_generator() -> None:
    method = _step(adversarial=1, l1=0)
    assert weight_of(method.generators["g"]) == pytest.approx(0.5 + 0.1 * 0.609375)


def test_weight_zero_leaves_the_discriminator_alone() -> None:
    method = _step(adversarial=0, l1=2)
    assert len(method.discriminators["d"].given) == 0
    assert weight_of(method.discriminators["d"]) == 1.0
    assert weight_of(method.generators["g"]) == pytest.approx(0.7)


def test_weight_zero_leaves_batch_statistics_alone() -> None:
    method = Toy(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), adversarial=0, l1=1)
    train(method, loader(Pairs(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4))))
    assert method.state_dict()["discriminators.d.running_mean"].tolist() == [0.0]
    assert method.state_dict()["discriminators.d.num_batches_tracked"] == 0


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


def test_the_output_of_a_step() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    outputs = []
    handler = on(IterationEvents.MODEL_COMPLETED, lambda engine: outputs.append(engine.state.output))
    trainer = train(method, loader(scalars((1, 3))), train_handlers=[handler])
    assert isinstance(trainer, SupervisedTrainer)
    (output,) = outputs
    assert set(output) == {"image", "label", "pred", "loss", "discriminator", "adversarial", "l1"}
    assert not any(value.requires_grad for value in output.values())
    found = {name: float(value) for name, value in output.items()}
    assert found == pytest.approx(
        {"image": 1, "label": 3, "pred": 0.5, "loss": G_ADVERSARIAL + 5, "discriminator": D_LOSS,
         "adversarial": G_ADVERSARIAL, "l1": 2.5}
    )  # fmt: skip
    assert trainer.network is method
    assert method.deployed is method.generators["g"]


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


def test_the_rate_of_each_epoch_is_reported_and_both_optimisers_follow_it() -> None:
    rates = []
    schedule = partial(ConstantThenLinear, constant_epochs=1, decay_epochs=1)
    note = on(Events.EPOCH_COMPLETED, lambda e: rates.append(e.state.metrics["learning_rate"]))
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    trainer = train(method, loader(scalars((1, 3))), epochs=2, schedule=schedule, train_handlers=[note])
    assert rates == pytest.approx([0.1, 0.05])
    assert [o.param_groups[0]["lr"] for o in trainer.optimizers.values()] == pytest.approx([0.0, 0.0])


def test_each_epoch_draws_every_case_once_in_a_new_order() -> None:
    drawn: list[str] = []
    note = on(Events.ITERATION_COMPLETED, lambda e: drawn.append(e.state.batch["case"][0]))
    train(Toy(Scale(0.5), Scale(1.0), l1=2), loader(scalars(*[(1, 3)] * 8)), epochs=2, train_handlers=[note])
    assert sorted(drawn[:8]) == sorted(drawn[8:]) == [f"case_{i}" for i in range(8)]
    assert drawn[:8] != drawn[8:]


# ---- learning ----------------------------------------------------------------------------------------------------


def test_the_inversion_of_random_images_is_learnt() -> None:
    torch.manual_seed(0)
    images = torch.rand(32, 1, 8, 8)
    method = Toy(*convolutions(), adversarial=0.05, l1=10)
    train(method, loader(Pairs(images, 1 - images), 4), 60, partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999)),
          schedule=partial(ConstantThenLinear, constant_epochs=30, decay_epochs=30))  # fmt: skip
    unseen = torch.rand(8, 1, 8, 8)
    with torch.no_grad():
        error = float(l1(method.deployed(unseen), 1 - unseen))
    # a constant 0.5 would be off by 0.25 on average
    assert error < 0.03
