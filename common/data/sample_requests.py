"""Samples to synthesise without a source: a seed for each, which does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..seeds import derive


def requests(
    classes: Sequence[str], samples: int, seed: int, interpolate: list[int] | None = None
) -> list[dict[str, Any]]:
    """Samples to synthesise: ``samples`` items of each class, each with its own seed derived from ``seed``.

    Args:
        classes: names in order.
        samples: number of each class.
        seed: of all of them.
        interpolate: [a, b, n] for n items of each class instead, whose vectors go from that of sample a to that of
            sample b in equal steps, both included.

    Raises:
        ConfigError: ``samples`` is below 1, or ``interpolate`` is none of this.
    """
    if interpolate is not None:
        numbers = [number for number in interpolate if type(number) is int] if isinstance(interpolate, list) else []
        if len(numbers) != 3 or len(interpolate) != 3 or min(numbers) < 0 or numbers[2] < 2:
            fault = f"--interpolate is {interpolate}"
            raise ConfigError(fault, "give two numbers of samples, from 0, and 2 or more steps")
        first, last, steps = interpolate
        return [
            {"case": f"{name}_{first}_{last}_{step:03d}", "class": name, "label": label, "fraction": step / (steps - 1),
             "seed": sample_seed(seed, label, first), "seed_to": sample_seed(seed, label, last)}
            for label, name in enumerate(classes)
            for step in range(steps)
        ]  # fmt: skip
    if samples < 1:
        raise ConfigError(f"--samples is {samples}, below 1", "raise it")
    return [
        {"case": f"{name}_{number:05d}", "class": name, "label": label, "seed": sample_seed(seed, label, number)}
        for label, name in enumerate(classes)
        for number in range(samples)
    ]


def sample_seed(seed: int, label: int, number: int) -> int:
    """Seed of one sample, independent of the number of samples."""
    return derive(seed, label, number)
