"""The trainer on networks of one weight, worked out by hand; what it learns; how it goes on after an interruption."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common import checkpoints
from common.data.sampling import EpochSampler
from common.engines import GanTrainer, Validation
from common.errors import ConfigError, TrainingError
from common.losses import AdversarialLoss, l1
from common.methods import Batch, GanMethod, Losses
from common.schedules import ConstantThenLinear
from common.seeds import derive

CPU = torch.device("cpu")
SGD = partial(torch.optim.SGD, lr=0.1)
NAMES = ("discriminator", "adversarial", "l1", "loss")


def weight_of(network: Any) -> float:
    """The one weight of a network."""
    return network.weight.item()


class Scale(nn.Module):
    """``weight * x``; counts how often it ran."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.weight * x


class Toy(GanMethod):
    """An unconditional adversary and L1, around any two networks."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, kind: str = "least_squares", **weights: float
    ) -> None:
        super().__init__({"g": generator}, {"d": discriminator}, weights)
        self.adversary = AdversarialLoss(kind)

    def generate(self, batch: Batch) -> Losses:
        return {"pred": self.generators["g"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        if not self.uses("adversarial"):
            return {}
        judge = self.discriminators["d"]
        return {"discriminator": self.adversary.discriminator(judge(batch["label"]), judge(fakes["pred"]))}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        losses = {"l1": l1(fakes["pred"], batch["label"])}
        if self.uses("adversarial"):
            losses["adversarial"] = self.adversary.generator(self.discriminators["d"](fakes["pred"]))
        return losses


class Pairs(Dataset):
    """Image and label by index, with noise of its own for every (epoch, index)."""

    def __init__(self, images: Tensor, labels: Tensor, noise: float = 0.0) -> None:
        self.images, self.labels, self.noise = images, labels, noise

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, index = key
        generator = torch.Generator().manual_seed(derive(epoch, index))
        image = self.images[index]
        image = image + self.noise * torch.randn(image.shape, generator=generator)
        return {"image": image, "label": self.labels[index], "case": f"case_{index}"}


def loader(dataset: Dataset, batch_size: int = 1, num_workers: int = 0, drop_last: bool = False) -> DataLoader:
    """A loader over the real sampler, seed 0."""
    sampler = EpochSampler(dataset)  # type: ignore[arg-type]
    return DataLoader(dataset, batch_size, sampler=sampler, num_workers=num_workers, drop_last=drop_last)


def scalars(*pairs: tuple[float, float]) -> Pairs:
    """A dataset of single numbers."""
    images, labels = torch.tensor(pairs).float().unsqueeze(-1).unbind(1)
    return Pairs(images, labels)


def train(method: GanMethod, data: Iterable, epochs: int = 1, optimizer: Callable = SGD, **settings: Any) -> GanTrainer:
    """Run to the end."""
    trainer = GanTrainer(CPU, epochs, data, method, optimizer, **settings)
    trainer.run()
    return trainer


def on(event: Any, action: Callable) -> Any:
    """A handler that calls ``action(engine)`` at an event."""

    class Handler:
        def attach(self, engine: GanTrainer) -> None:
            engine.add_event_handler(event, action)

    return Handler()


# ---- one step by hand ---------------------------------------------------------------------------------------------

# G(x) = g x with g = 0.5, D(y) = d y with d = 1, x = 1, y = 3, least squares, weights 1 and 2, rate 0.1.
# D: L = 0.5 [(3d - 1)^2 + (0.5d)^2] = 0.5 [4 + 0.25] = 2.125; dL/dd = 3 (3d - 1) + 0.25 d = 6.25; d' = 0.375
# G sees d': adversarial = (0.375 * 0.5 - 1)^2 = 0.66015625; its gradient 2 (-0.8125) 0.375 = -0.609375
# L1 = 2.5, its gradient -1, twice: g' = 0.5 + 0.1 (0.609375 + 2) = 0.7609375
D_LOSS, D_GRADIENT, D_AFTER = 2.125, 6.25, 0.375
G_ADVERSARIAL, G_GRADIENT, G_AFTER = 0.66015625, -2.609375, 0.7609375


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
    assert method.discriminators["d"].calls == 0
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
    assert method.generators["g"].calls == 6
    assert method.discriminators["d"].calls == 18


def test_gradients_reach_the_networks_they_are_for_and_no_other() -> None:
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=2)
    g, d = (next(network.parameters()) for network in (method.generators["g"], method.discriminators["d"]))
    seen: dict[str, tuple] = {}
    first: dict[str, tuple] = {}

    def note(name: str) -> Callable:
        def look(engine: GanTrainer) -> None:
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
    method = Toy(Scale(0.5), Scale(1.0), adversarial=1)  # l1 has no weight
    with pytest.raises(ConfigError, match="loss_weights::l1: every loss has a weight"):
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

        def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
            return {}

        def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
            return {"l1": l1(fakes["pred"], batch["label"])}

    method = Plain({"g": Scale(0.5)}, {}, {"l1": 2})
    trainer = train(method, loader(scalars((1, 3))))
    assert weight_of(method.deployed) == pytest.approx(0.7)
    assert list(trainer.optimizers) == ["generators"]


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


# ---- accumulation, averaging, clipping, precision -----------------------------------------------------------------


def _regression(count: int) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    return Pairs(torch.randn(count, 1, 4, 4, generator=generator), torch.randn(count, 1, 4, 4, generator=generator))


@pytest.mark.parametrize("count", [8, 10], ids=["whole windows", "an incomplete last window"])
def test_accumulation_equals_larger_batches(count: int) -> None:
    def run(batch_size: int, steps: int) -> Tensor:
        torch.manual_seed(0)
        method = Toy(nn.Conv2d(1, 1, 3, padding=1), Scale(1.0), l1=5)
        train(method, loader(_regression(count), batch_size), epochs=3, accumulation_steps=steps)
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
    trainer = train(method, loader(_regression(4), 2), ema_decay=0.9)
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


def _convolutions(*middle: nn.Module) -> tuple[nn.Module, nn.Module]:
    generator = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *middle, nn.LeakyReLU(0.1), nn.Conv2d(8, 1, 3, padding=1))
    return generator, nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3, 2, 1))


ADAM = partial(torch.optim.Adam, lr=5e-3, betas=(0.5, 0.999))


@pytest.mark.parametrize("kind", AdversarialLoss.kinds)
def test_bfloat16_trains_and_reports_full_precision_means(kind: str) -> None:
    torch.manual_seed(0)
    method = Toy(*_convolutions(), kind=kind, adversarial=0.1, l1=10)
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


def test_unknown_precision_is_named() -> None:
    with pytest.raises(ConfigError, match="precision: is one of fp32, bf16, fp16, but got 'fp8'"):
        GanTrainer(CPU, 1, loader(scalars((1, 3))), Toy(Scale(0.5), Scale(1.0), l1=1), SGD, precision="fp8")


def test_too_few_samples_for_one_batch() -> None:
    data = loader(scalars((1, 3), (2, 1)), batch_size=4, drop_last=True)
    with pytest.raises(ConfigError, match=r"batch_size: is at most the samples of an epoch .*, but got 4; lower it"):
        GanTrainer(CPU, 1, data, Toy(Scale(0.5), Scale(1.0), l1=1), SGD)


# ---- what must stop a run -----------------------------------------------------------------------------------------


def _stopped(method: GanMethod, data: Iterable, match: str, **settings: Any) -> tuple[GanTrainer, list[dict]]:
    """A trainer that stopped, and all weights after each good step."""
    states: list[dict] = []
    note = on(
        Events.ITERATION_COMPLETED,
        lambda e: states.append({name: value.clone() for name, value in method.state_dict().items()}),
    )
    trainer = GanTrainer(CPU, 3, data, method, SGD, train_handlers=[note], **settings)
    with pytest.raises(TrainingError, match=match):
        trainer.run()
    return trainer, states


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("adversarial", [0, 1])
def test_a_loss_that_is_not_finite_stops_and_names_step_and_case(value: float, adversarial: int) -> None:
    data = scalars((1, 3), (2, 1), (0.5, 1), (1, -1), (3, 2))
    data.labels[3] = value
    order = [index for _, index in EpochSampler(data)]
    step = order.index(3) + 1
    assert step > 1
    method = Toy(Scale(0.5), Scale(1.0), adversarial=adversarial, l1=1)
    match = rf"step {step}, case \['case_3'\]: losses .* finite, but got NaN or infinity; .* --resume true"
    trainer, states = _stopped(method, loader(data), match)
    assert trainer.state.iteration == step
    assert len(states) == step - 1
    for name, good in states[-1].items():
        assert torch.equal(method.state_dict()[name], good), name


class _RootOfDistance(Toy):
    """Its loss is finite where prediction and label agree, its gradient is not."""

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        return {"l1": l1(fakes["pred"], batch["label"]).sqrt()}


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights() -> None:
    # an infinite slope at zero distance, times zero: the loss is 0, the gradient NaN
    method = _RootOfDistance(Scale(0.5), Scale(1.0), l1=1)
    _stopped(method, loader(scalars((2, 1))), r"step 1, case \['case_0'\]: .* finite, but got NaN or infinity")
    assert weight_of(method.generators["g"]) == 0.5


def test_batches_without_case_names_are_said_to_have_none() -> None:
    data = [{"image": torch.ones(1, 1), "label": torch.full((1, 1), float("nan"))}]
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    _stopped(method, data, "step 1, case a batch without case names")


# ---- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["identity", "inversion"])
def test_a_pointwise_map_of_random_images_is_learnt(task: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(32, 1, 8, 8)
    method = Toy(*_convolutions(), adversarial=0.05, l1=10)
    data = Pairs(images, images if task == "identity" else 1 - images)
    train(method, loader(data, 4), 60, partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999)),
          schedule=partial(ConstantThenLinear, constant_epochs=30, decay_epochs=30))  # fmt: skip
    unseen = torch.rand(8, 1, 8, 8)
    expected = unseen if task == "identity" else 1 - unseen
    with torch.no_grad():
        error = float(l1(method.deployed(unseen), expected))
    # a constant 0.5 would be off by 0.25 on average
    assert error < 0.03


# ---- going on -----------------------------------------------------------------------------------------------------

EPOCH = 4


def _resumable(epochs: int, seed: int, workers: int = 0, handlers: Any = None, **settings: Any) -> GanTrainer:
    torch.manual_seed(seed)
    method = Toy(*_convolutions(nn.BatchNorm2d(8), nn.Dropout(0.5)), kind="bce", adversarial=1, l1=10)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2 * EPOCH, 1, 8, 8, generator=generator)
    data = loader(Pairs(images, 1 - images, noise=0.2), batch_size=2, num_workers=workers)
    schedule = partial(ConstantThenLinear, constant_epochs=1, decay_epochs=3)
    chosen = {"ema_decay": 0.9} | settings
    return GanTrainer(CPU, epochs, data, method, ADAM, schedule, seed=7, train_handlers=handlers, **chosen)


def assert_same(one: Any, other: Any, where: str = "state") -> None:
    """Equal bit for bit, through dictionaries and lists."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[dict, list[dict]]:
    """State after four epochs and the metrics of each."""
    metrics: list[dict] = []
    note = on(Events.EPOCH_COMPLETED, lambda e: metrics.append(dict(e.state.metrics)))
    trainer = _resumable(4, seed=0, handlers=[note])
    trainer.run()
    return trainer.state_to_save(), metrics


def _go_on(path: Path, workers: int = 0) -> tuple[dict, list[dict]]:
    metrics: list[dict] = []
    note = on(Events.EPOCH_COMPLETED, lambda e: metrics.append(dict(e.state.metrics)))
    trainer = _resumable(4, seed=99, workers=workers, handlers=[note])  # other initial weights, to be replaced
    trainer.load_saved_state(checkpoints.load(path))
    trainer.run()
    return trainer.state_to_save(), metrics


@pytest.mark.parametrize("workers", [0, 2])
def test_two_and_two_epochs_are_four(uninterrupted: tuple[dict, list[dict]], tmp_path: Path, workers: int) -> None:
    trainer = _resumable(2, seed=0, workers=workers)
    trainer.run()
    checkpoints.save(trainer.state_to_save(), tmp_path / "last.pt")
    state, metrics = _go_on(tmp_path / "last.pt", workers)
    assert_same(state, uninterrupted[0])
    assert metrics == uninterrupted[1][2:]


@pytest.mark.parametrize("step", [1, EPOCH + 3, 2 * EPOCH + 2])
def test_going_on_in_the_midst_of_an_epoch(uninterrupted: tuple[dict, list[dict]], tmp_path: Path, step: int) -> None:
    class StoppedError(Exception):
        pass

    def interrupt(engine: GanTrainer) -> None:
        checkpoints.save(engine.state_to_save(), tmp_path / "last.pt")
        raise StoppedError

    with pytest.raises(StoppedError):
        _resumable(4, seed=0, handlers=[on(Events.ITERATION_COMPLETED(once=step), interrupt)]).run()
    assert checkpoints.load(tmp_path / "last.pt")["iteration"] == step
    state, metrics = _go_on(tmp_path / "last.pt")
    assert_same(state, uninterrupted[0])
    assert metrics == uninterrupted[1][step // EPOCH :]


def test_the_comparison_would_notice_lost_randomness(uninterrupted: tuple[dict, list[dict]], tmp_path: Path) -> None:
    trainer = _resumable(2, seed=0)
    trainer.run()
    saved = trainer.state_to_save()
    other = _resumable(4, seed=0)
    other.load_saved_state(saved)
    other.seed = 8  # other dropout
    other.run()
    with pytest.raises(AssertionError):
        assert_same(other.state_to_save()["networks"], uninterrupted[0]["networks"])


def test_a_finished_run_does_not_go_on(uninterrupted: tuple[dict, list[dict]]) -> None:
    steps: list[GanTrainer] = []
    trainer = _resumable(4, seed=99, handlers=[on(Events.ITERATION_COMPLETED, steps.append)])
    trainer.add_event_handler(Events.STARTED, lambda engine: engine.load_saved_state(uninterrupted[0]))
    trainer.run()
    assert not steps


def test_an_epoch_of_another_length_is_refused() -> None:
    saved = _resumable(1, seed=0).state_to_save() | {"epoch_length": 9}
    with pytest.raises(ConfigError, match="resume: the run to resume has 9 steps an epoch, but got 4; use its data"):
        _resumable(1, seed=0).load_saved_state(saved)


@pytest.mark.parametrize(("before", "now", "found"), [(0.9, None, "False"), (None, 0.9, "True")])
def test_switching_the_moving_average_is_refused(before: float | None, now: float | None, found: str) -> None:
    saved = _resumable(1, seed=0, ema_decay=before).state_to_save()
    with pytest.raises(ConfigError, match=f"ema_decay: is .* as in the run to resume, but got {found}; set it"):
        _resumable(1, seed=0, ema_decay=now).load_saved_state(saved)


def test_networks_of_another_size_are_refused() -> None:
    saved = _resumable(1, seed=0).state_to_save()
    method = Toy(*_convolutions(), kind="bce", adversarial=1, l1=10)
    images = torch.rand(2 * EPOCH, 1, 8, 8)
    schedule = partial(ConstantThenLinear, constant_epochs=1, decay_epochs=3)
    other = GanTrainer(CPU, 1, loader(Pairs(images, images), 2), method, ADAM, schedule, ema_decay=0.9, seed=7)
    with pytest.raises(ConfigError, match="resume: the networks are those of the run to resume, but got .*; use its"):
        other.load_saved_state(saved)


# ---- two processes ------------------------------------------------------------------------------------------------

PROCESS = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_engines as t
from common import checkpoints, devices
device = devices.distributed_device()
torch.manual_seed(devices.rank())
method = t.shared_method()
trainer = t.train(method, t.loader(t._regression(6)), epochs=2)
content = {"networks": method.state_dict(), "metrics": trainer.state.metrics}
normalised = t.train(t.Toy(torch.nn.BatchNorm2d(1), t.Scale(1.0), l1=1), t.loader(t._regression(6)), ema_decay=0.5)
with normalised.deployed_weights() as network:
    content["statistics"] = {name: value.clone() for name, value in network.named_buffers()}
checkpoints.save(content, Path(sys.argv[2], f"{devices.rank()}.pt"))
torch.distributed.destroy_process_group()
"""


def shared_method() -> Toy:
    """Batch-independent networks, so that averaged gradients are those of the joint batch."""
    convolution = partial(nn.Conv2d, 1, 1, 3, padding=1)
    return Toy(convolution(), convolution(), adversarial=1, l1=5)


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    here = str(Path(__file__).parent)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, here, str(tmp_path)],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    torch.manual_seed(0)  # the first process's weights are everybody's
    method = shared_method()
    alone = train(method, loader(_regression(6), 2), epochs=2)
    both = [checkpoints.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for found in both:
        torch.testing.assert_close(found["networks"], dict(method.state_dict()), rtol=1e-5, atol=1e-6)
        assert found["metrics"] == pytest.approx(alone.state.metrics, rel=1e-5)
    assert_same(both[0]["statistics"], both[1]["statistics"], "batch statistics of the deployed average")


def test_another_seed_is_refused_on_resume() -> None:
    saved = _resumable(1, seed=0).state_to_save() | {"seed": 8}
    with pytest.raises(ConfigError, match="seed: is 8 as in the run to resume, but got 7; set it as it was"):
        _resumable(1, seed=0).load_saved_state(saved)


def test_validation_comes_after_the_last_epoch_too() -> None:
    validated: list[int] = []
    evaluator = SupervisedEvaluator(CPU, [{"image": torch.zeros(1, 1, 8, 8)}], nn.Identity())
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: validated.append(engine.state.epoch))
    _resumable(5, seed=0, handlers=[Validation(interval=2, validator=evaluator)]).run()
    assert validated == [2, 4, 5]
