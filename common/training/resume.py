"""Saving and restoring the state of a trainer, for resumed runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import ConfigError

if TYPE_CHECKING:
    from .trainer import SynthesisTrainer

EXECUTION = ("fused", "foreach", "capturable", "differentiable")
"""Options of an optimiser that set how its updates are computed, not their values; they depend on the machine."""


def state_of(trainer: SynthesisTrainer) -> dict[str, Any]:
    """The state that a resumed run needs: tensors, numbers and strings only."""
    return {
        "iteration": trainer.state.iteration,
        "epoch_length": trainer.state.epoch_length,
        "networks": trainer.method.state_dict(),
        "ema": trainer.ema.state_dict() if trainer.ema is not None else None,
        "optimizers": {name: _state_of(optimizer) for name, optimizer in trainer.optimizers.items()},
        "schedulers": [scheduler.state_dict() for scheduler in trainer.schedulers],
        "scaler": trainer.grad_scaler.state_dict(),
        "loss_sums": trainer.loss_sums,
        "loss_counts": trainer.loss_counts,
        "seed": trainer.seed,
    }


def restore(trainer: SynthesisTrainer, saved: Mapping[str, Any]) -> None:
    """Restore what :func:`state_of` returned, in the middle of an epoch too.

    Raises:
        ConfigError: where the epoch has another length, the seed is another, the moving average or the schedule was
            switched on or off, or other networks are trained.
        ValueError: where a tensor holds no finite numbers like those that it replaces.
    """
    if saved["epoch_length"] != trainer.state.epoch_length:
        raise ConfigError(
            f"an epoch has {trainer.state.epoch_length} steps, {saved['epoch_length']} in the run to resume",
            "use its data, --batch_size, --samples_per_epoch and processes, or start a new run with --resume false",
        )
    adversary, adversary_then = ("discriminators" in each for each in (trainer.optimizers, saved["optimizers"]))
    for name, now, then in (
        ("--seed", trainer.seed, saved["seed"]),
        ("--ema_decay", _on_or_off(trainer.ema), _on_or_off(saved["ema"])),
        ("--schedule", _on_or_off(trainer.schedulers), _on_or_off(saved["schedulers"])),
        ("training of discriminators", _on_or_off(adversary), _on_or_off(adversary_then)),
    ):
        if now != then:
            fault = f"{name} is {now}, but {then} in the run to resume"
            raise ConfigError(fault, "set it as it was, or start a new run with --resume false")
    _require_numbers(saved["networks"], trainer.method.state_dict())
    try:
        trainer.method.load_state_dict(saved["networks"])
    except RuntimeError as error:
        raise ConfigError(
            "weights have other names or shapes than in the run to resume",
            "use its settings, or start a new run with --resume false",
        ) from error
    if trainer.ema is not None:
        _require_numbers(saved["ema"], trainer.ema.state_dict())
        trainer.ema.load_state_dict(saved["ema"])
    for name, optimizer in trainer.optimizers.items():
        _restore(optimizer, saved["optimizers"][name])
    for scheduler, state in zip(trainer.schedulers, saved["schedulers"], strict=True):
        own = {"base_lrs": scheduler.base_lrs} if "base_lrs" in state else {}  # the rate may be another one
        scheduler.load_state_dict({**state, **own})
    trainer.grad_scaler.load_state_dict(saved["scaler"])
    trainer.loss_sums = {name: value.to(trainer.state.device) for name, value in saved["loss_sums"].items()}
    trainer.loss_counts = dict(saved["loss_counts"])
    trainer.state.iteration = saved["iteration"]
    trainer.state.epoch = saved["iteration"] // trainer.state.epoch_length


def _on_or_off(part: object) -> str:
    return "off" if part is None or part is False or part == [] else "on"


def _state_of(optimizer: Optimizer) -> dict[str, Any]:
    """Its state with the learning rate as a number, which is a tensor where steps are replayed as a CUDA graph."""
    state = optimizer.state_dict()
    return {**state, "param_groups": [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]}


def _restore(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Restore what :func:`_state_of` returned, except the options that depend on the machine.

    The learning rate stays the optimiser's own, at the place of the schedule that the saved one had come to.
    """
    own = [{name: group[name] for name in EXECUTION if name in group} for group in optimizer.param_groups]
    rates = [(group["lr"], float(group.get("initial_lr", group["lr"]))) for group in optimizer.param_groups]
    for number, weight in enumerate(weight for group in optimizer.param_groups for weight in group["params"]):
        state = saved["state"].get(number, {})
        numbers = {name: torch.zeros(()) if name == "step" else weight for name in state}
        _require_numbers(state, numbers, f"optimizer state {number}, ")
    groups = [{**group, **mine} for group, mine in zip(saved["param_groups"], own, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    for group, (rate, first) in zip(optimizer.param_groups, rates, strict=True):
        before = float(group.get("initial_lr", group["lr"]))
        now = float(group["lr"]) * (first / before)
        group["lr"] = rate.fill_(now) if isinstance(rate, Tensor) else now
        if "initial_lr" in group:
            group["initial_lr"] = first


def _require_numbers(saved: Mapping[str, Any], own: Mapping[str, Any], place: str = "") -> None:
    """Refuse tensors whose kind of numbers is another than that of those they replace, or that are not finite.

    Names and shapes of weights are compared by PyTorch when it loads them, those of optimisers by nothing.

    Raises:
        ValueError: with the name of the first one.
    """
    for name in [name for name in saved if name in own]:
        value, like = saved[name], own[name]
        if not isinstance(value, Tensor) or not isinstance(like, Tensor):
            if isinstance(value, Tensor) or isinstance(like, Tensor):
                raise ValueError(f"{place}{name} is a {type(value).__name__}")
            continue
        kinds = [(each.is_complex(), each.is_floating_point()) for each in (value, like)]
        if value.layout is not torch.strided or value.is_meta or kinds[0] != kinds[1]:
            raise ValueError(f"{place}{name} is of {value.layout}, {value.dtype} on {value.device}")
        if place and value.shape != like.shape:
            raise ValueError(f"{place}{name} has shape {tuple(value.shape)} instead of {tuple(like.shape)}")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"{place}{name} is not finite")
