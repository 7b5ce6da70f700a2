"""A guard that fails on whatever a CUDA graph cannot record: values read back, uploads, random numbers of the host.

Networks and batches are on PyTorch's ``meta`` device, which has shapes and no values, so that nothing can be read back
from it; the guard names the operation, and finds what ``meta`` lets through.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")
BY_VALUES = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "equal", "bincount")
"""Parts of the names of operations whose result, or its shape, the host knows only after the device has computed."""
COPIES = ("_to_copy", "copy_")
UPLOADS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)


class HostReadError(AssertionError):
    """The host would wait for the device, or each replay would have a value of the step that was recorded."""


@contextmanager
def no_host_reads() -> Iterator[None]:
    """Context in which each such operation fails."""
    drawn = _states()
    with _Operations(), _Calls():
        yield
    if _states() != drawn:
        raise HostReadError("random numbers of Python or NumPy would be the same in each replay")


class _Operations(TorchDispatchMode):
    """Sees every operation, those of a backward pass too."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = operation._schema.name.removeprefix("aten::"), kwargs or {}
        given = _tensors([args, kwargs])
        if any(part in name for part in BY_VALUES):
            raise HostReadError(f"{name} reads values of the device")
        if name.startswith("index") and any(index.dtype in (torch.bool, torch.uint8) for index in _tensors(args[1:2])):
            raise HostReadError(f"{name} by a mask has as many elements as the mask has true values")
        # a number of the host, in a tensor without dimensions, is an argument of the kernel as one of Python is
        devices = {each.device for each in given if each.dim() or name in COPIES} | _asked(name, kwargs)
        if META in devices and len(devices) > 1:
            raise HostReadError(f"{name} copies between host and device")
        result = operation(*args, **kwargs)
        random_on = {each.device for each in _tensors([result]) if torch.Tag.nondeterministic_seeded in operation.tags}
        if random_on - {META}:
            raise HostReadError(f"{name} draws on the host what would be the same in each replay")
        return result


class _Calls(TorchFunctionMode):
    """Sees functions before PyTorch makes operations of them: ``meta`` tensors of given numbers need no upload."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in UPLOADS and made.device == META:
            raise HostReadError(f"{function.__name__} uploads numbers of the host")
        return made


def _asked(name: str, kwargs: Mapping[str, Any]) -> set[torch.device]:
    return {kwargs["device"]} if name in COPIES and kwargs.get("device") else set()


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _states() -> tuple[Any, ...]:
    kind, keys, *others = np.random.get_state()
    return random.getstate(), kind, keys.tobytes(), *others


def on_meta(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a batch, without values."""
    return {key: torch.empty_like(value, device=META) for key, value in batch.items() if isinstance(value, Tensor)}
