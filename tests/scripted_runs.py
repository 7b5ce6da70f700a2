"""Runs whose validation scores are written down beforehand, and what they leave on disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.metrics import Metric
from torch import nn


class Scripted(Metric):
    """The validation's key metric: the next of given values each time."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values: Iterator[float] = iter(values)
        super().__init__()

    def reset(self) -> None:
        pass

    def update(self, output: Any) -> None:
        pass

    def compute(self) -> float:
        return next(self.values)


def rows(root: Path) -> list[dict[str, str]]:
    """The lines of ``log.csv``."""
    with open(root / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of a state dict."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
