"""Losses as settings: a weight, a function of prediction and target, and what else of a batch the function needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from monai.utils import ensure_tuple
from torch import Tensor, nn

from ..errors import ConfigError
from .distances import Distance


class WeightedLoss(NamedTuple):
    """A loss of the generators.

    Attributes:
        weight: of it; with 0 it is not computed.
        function: takes prediction and target, and what ``keys`` name as keywords; None for a term of the method itself.
        keys: of more tensors of a batch.
    """

    weight: float
    function: Distance | None = None
    keys: Collection[str] = ()


def weighted_losses(losses: Mapping[str, Any], terms: Collection[str], place: str) -> dict[str, WeightedLoss]:
    """The losses of a configuration by their names; functions that are modules are frozen.

    Args:
        losses: ``{weight, function, keys}`` by name.
        terms: names of those that a method computes itself, without a function.
        place: id of the setting.

    Raises:
        ConfigError: for another entry, a weight that is no number from 0 on, a name that is neither a term nor has a
            function, or weights that are all 0.
    """
    weighted = {name: _weighted_loss(entry, name in terms, f"{place}::{name}", terms) for name, entry in losses.items()}
    if weighted and not any(loss.weight for loss in weighted.values()):
        raise ConfigError(f"every weight is 0 (from {place})", "give a loss to train by a weight above 0")
    return weighted


def _weighted_loss(entry: Any, is_term: bool, place: str, terms: Collection[str]) -> WeightedLoss:
    if not isinstance(entry, Mapping) or "weight" not in entry:
        raise ConfigError(f"no weight in {entry!r} (from {place})", "write {weight: 1} and, for a new loss, a function")
    if strange := [str(name) for name in entry if name not in WeightedLoss._fields]:
        raise ConfigError(f"unknown name {strange[0]} (from {place})", f"a loss has {', '.join(WeightedLoss._fields)}")
    loss = WeightedLoss(**entry)
    if isinstance(loss.weight, bool) or not isinstance(loss.weight, int | float) or not loss.weight >= 0:
        raise ConfigError(f"weight {loss.weight!r} (from {place}::weight)", "give a number, 0 to skip the loss")
    if is_term is (loss.function is not None):
        fault = "a function where the method computes the loss itself" if is_term else "no function"
        known = f"terms without a function are {', '.join(terms) or 'none here'}"
        raise ConfigError(f"{fault} (from {place})", known)
    if isinstance(loss.function, nn.Module):
        loss.function.requires_grad_(False).eval()
    return loss._replace(keys=ensure_tuple(loss.keys))


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of named losses by named weights."""
    return sum((weights[name] * loss for name, loss in losses.items()), start=torch.zeros(()))
