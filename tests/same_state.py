"""Comparison of whole states of trainings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def assert_same(one: Any, other: Any, where: str = "state") -> None:
    """Equal bit for bit, through dictionaries and lists."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where
