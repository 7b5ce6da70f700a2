"""Saving and restoring the state of a trainer, for resumed runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from common.errors import ConfigError

EXECUTION = ("fused", "foreach", "capturable", "differentiable")
"""Options of an optimiser that set how its updates are computed, not their values; they depend on the machine."""


class Resumable(Protocol):
    """The parts of a trainer that a checkpoint holds."""

    state: Any
    method: Any
    ema: Any
    optimizers: dict[str, Optimizer]
    schedulers: list[Any]
    grad_scaler: Any
    loss_sums: dict[str, Tensor]
    seed: int


def state_of(trainer: Resumable) -> dict[str, Any]:
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
        "seed": trainer.seed,
    }


def restore(trainer: Resumable, saved: Mapping[str, Any]) -> None:
    """Restore what :func:`state_of` returned, in the middle of an epoch too.

    Raises:
        ConfigError: where the epoch has another length, the seed is another, the moving average or the schedule was
            switched on or off, or the networks are others.
    """
    if saved["epoch_length"] != trainer.state.epoch_length:
        raise ConfigError(
            "resume",
            f"the run to resume has {saved['epoch_length']} steps per epoch",
            trainer.state.epoch_length,
            "use its data, batch_size and number of processes, or start a new run with --resume false",
        )
    now = {"seed": trainer.seed, "ema_decay": trainer.ema is not None, "schedule": len(trainer.schedulers)}
    then = {"seed": saved["seed"], "ema_decay": saved["ema"] is not None, "schedule": len(saved["schedulers"])}
    for name, value in now.items():
        if value != then[name]:
            remedy = "set it as it was, or start a new run with --resume false"
            raise ConfigError(name, f"is {then[name]} as in the run to resume", value, remedy)
    try:
        trainer.method.load_state_dict(saved["networks"])
    except RuntimeError as error:
        raise ConfigError(
            "resume",
            "the networks are those of the run to resume",
            "other names or shapes of weights",
            "use its settings, or start a new run with --resume false",
        ) from error
    if trainer.ema is not None:
        trainer.ema.load_state_dict(saved["ema"])
    for name, optimizer in trainer.optimizers.items():
        _restore(optimizer, saved["optimizers"][name])
    for scheduler, state in zip(trainer.schedulers, saved["schedulers"], strict=True):
        scheduler.load_state_dict(state)
    trainer.grad_scaler.load_state_dict(saved["scaler"])
    trainer.loss_sums = {name: value.to(trainer.state.device) for name, value in saved["loss_sums"].items()}
    trainer.state.iteration = saved["iteration"]
    trainer.state.epoch = saved["iteration"] // trainer.state.epoch_length


def _state_of(optimizer: Optimizer) -> dict[str, Any]:
    """Its state with the learning rate as a number, which is a tensor where steps are replayed as a CUDA graph."""
    state = optimizer.state_dict()
    return {**state, "param_groups": [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]}


def _restore(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Restore what :func:`_state_of` returned, except the options that depend on the machine."""
    own = [{name: group[name] for name in EXECUTION if name in group} for group in optimizer.param_groups]
    rates = [group["lr"] for group in optimizer.param_groups]
    groups = [{**group, **mine} for group, mine in zip(saved["param_groups"], own, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, Tensor):
            group["lr"] = rate.fill_(float(group["lr"]))
