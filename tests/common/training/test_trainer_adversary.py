"""Settings of the trainer for adversaries: critic steps, two time-scales, noise that fades, accuracies in the log."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from ignite.engine import Events
from loss_settings import losses_of
from same_state import assert_same
from torch import nn
from toy_networks import Scale
from toy_training import CPU, SGD, loader, on, scalars, train, weight_of

from common.errors import ConfigError
from common.losses import AdversarialLoss
from common.training import ConstantThenLinear, SynthesisTrainer
from common.training.methods.conditional import ConditionalGan


def gan(adversarial: float = 1.0, **settings: Any) -> ConditionalGan:
    loss = AdversarialLoss(**{"kind": "least_squares", **settings})
    losses = losses_of({"adversarial": adversarial, "l1": 1.0})
    return ConditionalGan(Scale(0.5), Scale(1.0), losses, loss, conditional=False)


def weights_after_each_step(method: ConditionalGan, data: Any, **settings: Any) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []

    def note(_: Any) -> None:
        networks = method.generators["generator"], method.discriminators["discriminator"]
        found.append((weight_of(networks[0]), weight_of(networks[1])))

    train(method, data, train_handlers=[on(Events.ITERATION_COMPLETED, note)], **settings)
    return found


def changed(values: list[float], first: float) -> list[bool]:
    return [value != before for value, before in zip(values, [first, *values[:-1]], strict=True)]


def test_generators_are_updated_after_so_many_steps_of_the_critic() -> None:
    data = loader(scalars((1, 3), (2, 1), (0.5, 1), (1, 2)))
    made = weights_after_each_step(gan(), data, epochs=2, critic_steps=3)
    assert changed([generator for generator, _ in made], 0.5) == [False, False, True, False, False, True, False, False]
    assert all(changed([critic for _, critic in made], 1.0))


def test_windows_of_accumulated_batches_count_once() -> None:
    data = loader(scalars(*[(1, 3)] * 5))  # windows of 2, 2 and 1 batches
    made = weights_after_each_step(gan(), data, epochs=2, critic_steps=2, accumulation_steps=2)
    moved = changed([generator for generator, _ in made], 0.5)
    assert [step for step, did in enumerate(moved, 1) if did] == [4, 7, 10]  # ends of the windows 2, 4 and 6


def test_without_an_adversary_every_step_updates_the_generator() -> None:
    made = weights_after_each_step(gan(adversarial=0), loader(scalars(*[(1, 3)] * 4)), critic_steps=4)
    assert all(changed([generator for generator, _ in made], 0.5))


def test_losses_are_means_over_the_steps_that_have_them() -> None:
    # the distance of 0.5 x from the label, in the second and fourth of four steps alone
    pairs = [(1, 3), (2, 1), (0.5, 1), (1, 2)]
    seen: list[float] = []
    method = gan()

    def note(engine: Any) -> None:
        if "l1" in engine.state.output:
            seen.append(float(engine.state.output["l1"]))

    trainer = train(
        method, loader(scalars(*pairs)), critic_steps=2, train_handlers=[on(Events.ITERATION_COMPLETED, note)]
    )
    assert len(seen) == 2
    assert trainer.state.metrics["l1"] == pytest.approx(sum(seen) / 2)
    assert set(trainer.state.metrics) == {
        "l1", "adversarial", "loss", "discriminator", "discriminator_accuracy", "learning_rate",
    }  # fmt: skip


@pytest.mark.parametrize("steps", [2, 3])
def test_interrupted_between_critic_steps_and_resumed_equals_uninterrupted(steps: int) -> None:
    data = scalars((1, 3), (2, 1), (0.5, 1), (1, 2))
    settings = {"critic_steps": 3}
    whole = SynthesisTrainer(CPU, 2, loader(data), gan(), SGD, **settings)
    whole.run()
    part = SynthesisTrainer(CPU, 2, loader(data), gan(), SGD, **settings)
    part.add_event_handler(Events.ITERATION_COMPLETED(once=steps), lambda engine: engine.terminate())
    part.run()
    assert part.state.iteration == steps
    rest = SynthesisTrainer(CPU, 2, loader(data), gan(), SGD, **settings)
    rest.load_saved_state(part.state_to_save())
    rest.run()
    assert_same(rest.state_to_save(), whole.state_to_save())
    assert rest.state.metrics == whole.state.metrics


def test_more_critic_steps_than_updates_are_refused() -> None:
    with pytest.raises(ConfigError, match="--critic_steps is 3, not between 1 and the 2 updates of an epoch"):
        train(gan(), loader(scalars((1, 3), (2, 1))), critic_steps=3)


def test_two_time_scales_each_follow_the_schedule() -> None:
    method, schedule = gan(), partial(ConstantThenLinear, constant_epochs=1, decay_epochs=2)
    trainer = train(method, loader(scalars((1, 3))), epochs=2, schedule=schedule, discriminator_rate=0.4)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in trainer.optimizers.items()}
    assert rates["discriminators"] == pytest.approx(4 * rates["generators"])
    assert 0 < rates["generators"] < 0.1


def test_a_gradient_penalty_on_batch_normalisation_is_refused() -> None:
    discriminator = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    loss = AdversarialLoss("wasserstein", gradient_penalty=10)
    method = ConditionalGan(
        Scale(0.5), discriminator, losses_of({"adversarial": 1.0, "l1": 0.0}), loss, conditional=False
    )
    with pytest.raises(ConfigError, match=r"gradient_penalty excludes batch normalisation.*discriminator_def::norm"):
        train(method, loader(scalars((1, 3), (2, 1)), 2))
