"""Rules of time: samples of an epoch and epochs, within the operations that a device does in some hours."""

from __future__ import annotations

from typing import NamedTuple

LEAST_STEPS = 500
"""Steps of a training below which a smaller batch, image or network is planned instead."""
STEPS_AN_EPOCH = 100
"""Fewer are filled up by repeated samples, which are augmented again; nnU-Net has 250 whatever the number of cases."""
LEAST_EPOCHS = 20
"""With less time epochs become shorter instead, so that several validations choose the weights."""
SHARE_OF_STEPS = 0.8
"""Of the time; the rest is for validations, reading and checkpoints."""
VALIDATIONS = 4
"""At least, where there are so many epochs."""


class Published(NamedTuple):
    """The schedule of a bundle, in epochs of each stage."""

    max_epochs: int
    constant_epochs: int
    decay_epochs: int
    val_interval: int


class Schedule(NamedTuple):
    """Epochs of each stage; ``samples`` of an epoch, and the steps of all stages together."""

    max_epochs: int
    constant_epochs: int
    decay_epochs: int
    val_interval: int
    samples: int
    steps: int


def steps_within(hours: float | None, operations: float, teraflops: float) -> int | None:
    """Steps that fit into some hours on a device; None without a limit.

    Args:
        hours: of the training.
        operations: floating-point operations of a step.
        teraflops: what the device does, in 10^12 a second.
    """
    return None if hours is None else int(SHARE_OF_STEPS * hours * 3600 * teraflops * 1e12 / operations)


def seconds_of(steps: int, operations: float, teraflops: float) -> float:
    """Seconds of a training: the inverse of :func:`steps_within`."""
    return steps * operations / (teraflops * 1e12) / SHARE_OF_STEPS


def schedule_of(samples: int, batch_size: int, stages: int, own: Published, limit: int | None) -> Schedule:
    """Epochs of at least ``STEPS_AN_EPOCH`` steps: as many as published, or as fit into the steps of the time.

    Args:
        samples: of the data set, for an epoch.
        batch_size: of a step.
        stages: trained one after the other, each for so many epochs.
        own: the bundle's schedule.
        limit: steps of all stages; None for no limit.
    """
    each = max(samples // batch_size, STEPS_AN_EPOCH)
    epochs = own.max_epochs
    if limit is not None and epochs * each * stages > limit:
        epochs = limit // (each * stages)
        if epochs < LEAST_EPOCHS:
            epochs = min(LEAST_EPOCHS, own.max_epochs)
            each = max(1, limit // (epochs * stages))
    constant = round(epochs * own.constant_epochs / (own.constant_epochs + own.decay_epochs))
    interval = min(own.val_interval, max(1, epochs // VALIDATIONS))
    return Schedule(epochs, constant, epochs - constant, interval, each * batch_size, epochs * each * stages)
