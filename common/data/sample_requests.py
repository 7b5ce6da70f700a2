"""Samples to synthesise without a source: a seed for each, which does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..seeds import derive


def requests(classes: Sequence[str], samples: int, seed: int) -> list[dict[str, Any]]:
    """Samples to synthesise: ``samples`` items of each class, each with its own seed derived from ``seed``.

    Args:
        classes: names in order.
        samples: number of each class.
        seed: of all of them.

    Raises:
        ConfigError: ``samples`` is below 1.
    """
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
