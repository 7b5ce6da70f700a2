"""Strict loading: a network that refuses weights with other keys."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import CheckpointError


def refuse_other_weights(network: nn.Module) -> None:
    """Let a network refuse weights with other keys, even where a server loads them with ``strict=False``.

    The missing weights would otherwise keep their random initial values.
    """
    network.register_load_state_dict_post_hook(_require_all_keys)


def _require_all_keys(network: nn.Module, keys: Any) -> None:
    """Raise for keys that ``load_state_dict`` found missing or unexpected.

    Raises:
        CheckpointError: names the first.
    """
    wrong = [f"{len(names)} {kind}, first {names[0]}" for kind, names in keys._asdict().items() if names]
    if wrong:
        fault = f"weights do not fit {type(network).__name__} ({'; '.join(wrong)})"
        remedy = 'pass its weights, or --NAME "%WEIGHTS.json::settings::NAME" for network_def and what it refers to'
        raise CheckpointError(fault, remedy)
