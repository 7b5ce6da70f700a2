"""Recorded steps compared with eager ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.training import SynthesisTrainer
from common.training.cuda_graph import WARM_UP
from tools.checks.findings import CheckFinding
from tools.checks.gpu.recipes import GpuRecipe, batch_of, recordings, stages, toy_trainer
from tools.checks.gpu.training import FAST

STEPS = WARM_UP + 5
EQUAL = 1e-6
"""Largest distance of recorded from eager weights, as a share of what the steps changed, where eager steps repeat."""
NOISE = 4
"""Where they do not, since some kernels add in no fixed order: times the distance of two eager runs."""
LOUDEST = 0.05
"""Distance of two eager runs above which they tell nothing: one lost update of eight is 0.12 or more."""


def recorded(recipe: GpuRecipe, data: Path, **settings: Any) -> list[CheckFinding]:
    """For each stage of a recipe: the weights after recorded and after eager steps from one start on one batch."""
    trainer = toy_trainer(recipe, data, **FAST, **settings)
    pad_by_zeros(trainer.method)
    found = []
    for stage, batch in stages(trainer, batch_of(trainer)):
        start = copy.deepcopy(trainer.state_to_save())
        before = recordings(trainer)
        ends = []
        # recorded steps come first: a graph keeps to its tensors and its stream, which no eager step has used yet
        for step in (trainer.run_step, trainer.step, trainer.step):
            trainer.load_saved_state(copy.deepcopy(start))
            with torch.backends.cudnn.flags(enabled=True, deterministic=True):
                ends.append(weights_after(trainer, step, batch))
        case = ", ".join(filter(None, [str(recipe), stage, *settings.values()]))
        replayed, eager, again = ends
        made = recordings(trainer) - before
        found.append(compared(case, floating(start["networks"]), eager, again, replayed, made))
        trainer.load_saved_state(start)
    return found


def pad_by_zeros(networks: nn.Module) -> None:
    """Replace reflection padding, whose backward pass adds in no fixed order: steps of a deep network magnify that."""
    for parent in list(networks.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.ReflectionPad2d):
                setattr(parent, name, nn.ZeroPad2d(layer.padding))


def compared(
    case: str,
    start: Mapping[str, Tensor],
    eager: Mapping[str, Tensor],
    again: Mapping[str, Tensor],
    replayed: Mapping[str, Tensor],
    recordings: int,
) -> CheckFinding:
    """The row of one comparison: of two eager runs, and of a recorded one with the first of them."""
    noise, difference = distance(start, eager, again), distance(start, eager, replayed)
    limit = max(EQUAL, NOISE * noise)
    required = f"recorded, distance <= {limit:.1e}"
    note = f"two eager runs {noise:.1e}" + ("" if noise < LOUDEST else ", too far apart to tell")
    passed = recordings > 0 and difference <= limit and noise < LOUDEST
    return CheckFinding("recorded", case, f"{recordings} recorded, {difference:.1e}", required, passed, note)


def distance(start: Mapping[str, Tensor], one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Euclidean distance of the weights of two runs, as a share of what the first one changed."""
    apart, moved = (torch.stack([(a[name] - b[name]).double().square().sum() for name in start]).sum().sqrt()
                    for a, b in ((one, other), (one, start)))  # fmt: skip
    return float(apart / moved) if float(moved) else float("inf")


def weights_after(trainer: SynthesisTrainer, step: Callable, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights and statistics of the networks after some steps, each seeded as the trainer seeds it."""
    trainer.method.train()
    for number in range(1, STEPS + 1):
        torch.manual_seed(number)
        trainer.finite.begin(number, "of the check")
        step(batch)
    trainer.finite.require()
    return floating(trainer.method.state_dict())


def floating(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of weights and statistics; an image pool that is still empty has none."""
    return {name: each.detach().clone() for name, each in state.items() if each.is_floating_point() and each.numel()}
