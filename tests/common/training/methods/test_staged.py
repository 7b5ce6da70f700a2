"""Cascades: inputs of each stage, frozen stages, transitions between stages, resume."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from loss_settings import losses_of
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.inferers import SimpleInferer
from same_state import assert_same
from scripted_runs import Scripted, rows, weights
from torch import Tensor, nn
from torch.utils.data import DataLoader
from toy_training import CPU

from common.data.datasets.patches import VolumePatchDataset
from common.data.samplers import EpochSampler
from common.errors import ConfigError, DataError
from common.losses import AdversarialLoss
from common.networks.cascade import Cascade
from common.stitching import CascadeInferer
from common.training import SynthesisTrainer
from common.training.handlers import RunFolder, Stages, Validation
from common.training.methods.conditional import ConditionalGan
from common.training.methods.staged import StagedMethod
from common.training.schedules import ConstantThenLinear
from common.weights import checkpoints

EPOCHS, STEPS = 2, 3


class Weighted(nn.Module):
    """``sum of w_c x_c`` over the channels."""

    def __init__(self, *channels: float) -> None:
        super().__init__()
        self.channels = nn.Parameter(torch.tensor(channels)[:, None, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (self.channels * x).sum(dim=1, keepdim=True)


def staged(norm: bool = False) -> StagedMethod:
    """Two stages; the second sees the source and its context."""

    def stage(channels: int) -> nn.Module:
        conv = nn.Conv3d(channels, 1, 3, padding=1)
        return nn.Sequential(conv, nn.BatchNorm3d(1)) if norm else conv

    cascade, adversary = Cascade([stage(1), stage(2)]), AdversarialLoss("least_squares")
    methods = [
        ConditionalGan(each, nn.Conv3d(2, 1, 2), losses_of({"l1": weight, "adversarial": 1}), adversary)
        for each, weight in zip(cascade.stages, (1.0, 5.0), strict=True)
    ]
    return StagedMethod(cascade, methods)


def volumes() -> list[dict[str, Any]]:
    chance = torch.Generator().manual_seed(3)
    images = [torch.rand(1, 7, 6, 5, generator=chance) for _ in range(2)]
    ones = torch.ones(1, 7, 6, 5)
    return [{"case": f"c{n}", "image": x, "label": x**2 - 0.5, "mask": ones} for n, x in enumerate(images)]


def test_a_batch_of_whole_images_needs_no_context() -> None:
    method = staged()
    method.enter(1)
    image = torch.rand(2, 1, 5, 5, 5)
    given = method.generate({"image": image, "context": method.cascade.stages[0](image)})
    made = method.generate({"image": image})
    assert torch.equal(made["pred"], given["pred"])
    made["pred"].sum().backward()
    assert [any(p.grad is not None for p in stage.parameters()) for stage in method.cascade.stages] == [False, True]


def build(
    root: Path,
    scores: tuple[float, ...] = (4, 3, 2, 1),
    resume: bool = False,
    last: Any = (),
    interval: int = 1,
    **settings: Any,
) -> SynthesisTrainer:
    torch.manual_seed(0)
    method = staged(norm=True)
    data = VolumePatchDataset(volumes(), transform=dict, patch_size=(4, 4, 4), patches_per_case=STEPS)
    loader = DataLoader(data, sampler=EpochSampler(data, seed=5), batch_size=2)
    inferer = CascadeInferer(SimpleInferer())
    validator = SupervisedEvaluator(
        CPU,
        DataLoader(Dataset([{key: item[key] for key in ("image", "label")} for item in volumes()[:1]]), batch_size=1),
        method.cascade,
        inferer=inferer,
        key_val_metric={"score": Scripted(scores)},
        metric_cmp_fn=operator.lt,
    )
    stages = Stages(data, inferer, validator, str(root), EPOCHS)
    return SynthesisTrainer(
        CPU,
        2 * EPOCHS,
        loader,
        method,
        partial(torch.optim.Adam, lr=0.01),
        partial(ConstantThenLinear, constant_epochs=1, decay_epochs=1, stage_epochs=EPOCHS),
        seed=5,
        train_handlers=[
            stages,
            Validation(interval, validator, stage_epochs=EPOCHS),
            RunFolder(str(root), validator, resume),
            *last,
        ],
        **settings,
    )


class At:
    """Handler that runs a function at the start of one epoch."""

    def __init__(self, epoch: int, function: Callable[[SynthesisTrainer], None]) -> None:
        self.epoch, self.function = epoch, function

    def attach(self, engine: SynthesisTrainer) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED(once=self.epoch), self.function)


# ---- the network ----------------------------------------------------------------------------------------------------


def test_every_stage_sees_the_source_and_the_output_before() -> None:
    cascade = Cascade([Weighted(2.0), Weighted(1.0, 10.0), Weighted(1.0, 100.0)])
    x = torch.full((1, 1, 1, 1, 1), 3.0)
    assert cascade(x).item() == 3 + 100 * (3 + 10 * 6)
    cascade.in_use.fill_(2)
    assert cascade(x).item() == 3 + 10 * 6
    cascade.in_use.fill_(1)
    assert cascade(x).item() == 6


ONE = torch.ones(1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    "compiled",
    [torch.jit.script, lambda whole: torch.export.export(whole, (ONE,)).module()],
    ids=["TorchScript", "exported program"],
)
def test_a_compiled_cascade_follows_the_stages_in_use(compiled: Callable[[nn.Module], Any]) -> None:
    """ONNX is made from an exported program."""
    whole = compiled(Cascade([Weighted(2.0), Weighted(1.0, 10.0)]))
    assert whole(ONE).item() == 21
    dict(whole.named_buffers())["in_use"].fill_(1)
    assert whole(ONE).item() == 2


def test_inferer_gives_a_stage_the_stitched_whole_of_the_one_before() -> None:
    """Where each stage is applied by halves, a sum over the whole context shows what it was given."""

    def by_halves(inputs: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([network(half) for half in inputs.chunk(2, dim=2)], dim=2)

    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x[:, 1].flatten().tolist())
            return x[:, :1]

    seen: list[list[float]] = []
    cascade = Cascade([Weighted(2.0), Total()])
    x = torch.arange(4.0).reshape(1, 1, 4, 1, 1)
    assert CascadeInferer(by_halves)(x, cascade).flatten().tolist() == [0, 1, 2, 3]  # type: ignore[arg-type]
    assert seen == [[0, 2], [4, 6]]


def test_another_number_of_channels_is_refused() -> None:
    cascade = Cascade([Weighted(2.0, 1.0)], in_channels=2)
    with pytest.raises(DataError, match="source has 1 channels, the network takes 2: change --source"):
        CascadeInferer(SimpleInferer())(torch.ones(1, 1, 2, 2, 2), cascade)


# ---- one stage at a time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [0, 1])
def test_only_the_stage_in_training_learns(stage: int) -> None:
    method = staged()
    method.enter(stage)
    chance = torch.Generator().manual_seed(0)
    batch = {key: torch.rand(1, 1, 4, 4, 4, generator=chance) for key in ("image", "label", "context")}
    fakes = method.generate(batch)
    losses = method.generator_losses(batch, fakes)
    discriminator = method.discriminator_losses(batch, {key: fake.detach() for key, fake in fakes.items()})
    (sum(losses.values()) + sum(discriminator.values())).backward()  # type: ignore[union-attr]
    moved = [name.split(".") for name, parameter in method.named_parameters() if parameter.grad is not None]
    assert {name[3] for name in moved if name[0] == "generators"} == {str(stage)}
    assert {name[1] for name in moved if name[0] == "discriminators"} == {f"stage_{stage + 1}"}
    assert method.loss_weights["l1"] == (1.0, 5.0)[stage]


def test_frozen_stages_keep_their_statistics() -> None:
    method = staged(norm=True)
    method.enter(1)
    method.train()
    assert [stage.training for stage in method.cascade.stages] == [False, True]
    method.enter(0)
    assert [stage.training for stage in method.cascade.stages] == [True, True]


# ---- a run of all stages --------------------------------------------------------------------------------------------


def test_the_second_stage_builds_on_the_best_of_the_first(tmp_path: Path) -> None:
    kept: dict[str, Mapping[str, Tensor]] = {}

    def after_first(engine: SynthesisTrainer) -> None:
        kept["best"] = checkpoints.load(tmp_path / "models" / "model.pt")
        kept["now"] = weights(engine.method.deployed)

    trainer = build(tmp_path, scores=(1, 2, 4, 3), last=[At(EPOCHS + 1, after_first)])
    epoch_one: dict[str, Mapping[str, Tensor]] = {}
    trainer.add_event_handler(
        Events.EPOCH_STARTED(once=2), lambda: epoch_one.update(end=weights(trainer.method.deployed))
    )
    trainer.run()
    first = [name for name in kept["best"] if name.startswith("stages.0.")]
    final = weights(trainer.method.deployed)
    assert all(torch.equal(kept["best"][name], epoch_one["end"][name]) for name in first), "best of the first: epoch 1"
    assert all(torch.equal(kept["now"][name], kept["best"][name]) for name in first)
    assert all(torch.equal(final[name], kept["best"][name]) for name in first), "frozen ever after"
    assert not torch.equal(final["stages.1.0.weight"], kept["now"]["stages.1.0.weight"])
    deployed = checkpoints.load(tmp_path / "models" / "model.pt")
    assert deployed["in_use"].item() == 2, "the second stage's best counts, though its score is worse"
    assert all(torch.equal(deployed[name], kept["best"][name]) for name in first)
    assert [row["stage"] for row in rows(tmp_path)] == ["1.0", "1.0", "2.0", "2.0"]
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates == pytest.approx([0.01, 0.005, 0.01, 0.005])


def test_each_stage_is_validated_at_its_end_however_rarely_otherwise(tmp_path: Path) -> None:
    build(tmp_path, interval=100).run()
    assert [row["val_score"] for row in rows(tmp_path)] == ["", "4.0", "", "3.0"]


def test_the_context_is_the_whole_image_of_the_first_stage(tmp_path: Path) -> None:
    trainer = build(tmp_path)
    trainer.run()
    data: Any = trainer.data_loader.dataset  # type: ignore[union-attr]
    first = trainer.method.deployed.stages[0].eval()
    with torch.no_grad():
        expected = [first(item["image"][None])[0] for item in volumes()]
    for number, wanted in enumerate(expected):
        assert torch.equal(data.volume(number, "context"), wanted)


@pytest.mark.parametrize("step", [STEPS + 1, 2 * STEPS, 2 * STEPS + 1, 3 * STEPS, 3 * STEPS + 2])
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_interrupted_in_any_stage_and_resumed_equals_uninterrupted(
    tmp_path: Path, step: int, ema_decay: float | None
) -> None:
    class Killed(BaseException):
        pass

    def kill(engine: SynthesisTrainer) -> None:
        if engine.state.iteration == step:
            raise Killed

    class Kill:
        def attach(self, engine: SynthesisTrainer) -> None:
            engine.add_event_handler(Events.ITERATION_COMPLETED, kill)

    scores = (1.0, 2.0, 4.0, 3.0)
    whole = build(tmp_path / "whole", scores, ema_decay=ema_decay)
    whole.run()
    with pytest.raises(Killed):
        build(tmp_path / "cut", scores, ema_decay=ema_decay, last=[Kill()]).run()
    done = checkpoints.load(tmp_path / "cut" / "models" / "last_checkpoint.pt")["trainer"]["iteration"] // STEPS
    resumed = build(tmp_path / "cut", scores[done:], resume=True, ema_decay=ema_decay)
    resumed.run()
    assert_same(resumed.state_to_save(), whole.state_to_save())
    for name in ("model.pt", "last_checkpoint.pt"):
        one, other = (checkpoints.load(tmp_path / run / "models" / name) for run in ("cut", "whole"))
        assert_same(one, other)


def test_resuming_with_other_epochs_a_stage_is_refused(tmp_path: Path) -> None:
    build(tmp_path).run()
    resumed = build(tmp_path, resume=True)
    stages = Stages(resumed.data_loader.dataset, SimpleInferer(), None, str(tmp_path), 9)  # type: ignore
    resumed.load_saved_state(checkpoints.load(tmp_path / "models" / "last_checkpoint.pt")["trainer"])
    with pytest.raises(ConfigError, match="--max_epochs gives each stage 9 epochs, but 2 in the run to resume"):
        stages.start_epoch(resumed)


def test_epochs_that_are_not_those_of_the_stages_are_refused(tmp_path: Path) -> None:
    trainer = build(tmp_path)
    wrong = Stages(trainer.data_loader.dataset, SimpleInferer(), None, str(tmp_path), 3)  # type: ignore
    with pytest.raises(ConfigError, match="max_epochs is 4, not 3 for each of 2 stages, 6: give a multiple"):
        wrong.attach(trainer)
