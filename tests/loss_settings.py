"""Losses as methods take them, from weights by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.nn import functional as F

from common.losses import Distance, l1


def losses_of(weights: Mapping[str, float], **functions: Distance) -> dict[str, dict[str, Any]]:
    """Each with its weight; ``l1``, ``l2`` and those named here have a function."""
    known: dict[str, Distance] = {"l1": l1, "l2": F.mse_loss, **functions}
    return {
        name: {"weight": weight} | ({"function": known[name]} if name in known else {})
        for name, weight in weights.items()
    }
