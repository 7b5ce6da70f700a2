"""Checks of preprocessed volumes in a cache, from which training samples are cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError

Cache = Sequence[Mapping[str, Any]]
"""Preprocessed cases: volumes (C, X, Y, Z) by key, and the ``case``."""


def plain(volume: Any) -> Tensor:
    """A tensor without MONAI's metadata, which slows every operation."""
    return volume.as_tensor() if hasattr(volume, "as_tensor") else torch.as_tensor(volume)


def name_of(cache: Cache, number: int) -> str:
    """The name of a case, or its number if it has none."""
    return str(cache[number].get("case", number))


def require_volumes(cache: Cache, needed: Collection[str]) -> None:
    """Refuse cases without a needed volume, such as after a random transform, at which caching stops.

    Raises:
        ConfigError: naming the first such case and its missing volumes.
    """
    for number, item in enumerate(cache):
        if missing := set(needed) - item.keys():
            names = " and no ".join(sorted(missing))
            fault = f"preprocessing without random transforms gives no {names} of case {name_of(cache, number)}"
            remedy = "add mask files, or set foreground_share to 0; move random transforms to augmentation"
            raise ConfigError(fault, remedy)


def require_one_shape(cache: Cache, keys: Collection[str]) -> None:
    """Refuse cases whose volumes of these keys differ in shape (X, Y, Z).

    Raises:
        ConfigError: naming the first such case and its shapes.
    """
    for number, item in enumerate(cache):
        shapes = {key: tuple(item[key].shape[1:]) for key in keys if key in item}
        if len(set(shapes.values())) > 1:
            fault = f"preprocessing gives volumes of case {name_of(cache, number)} different shapes, {shapes}"
            raise ConfigError(fault, "resample them to the image's grid")
