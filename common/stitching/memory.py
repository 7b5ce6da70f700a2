"""Memory of a forward pass, counted on tensors without values: nothing is computed, and no memory is taken."""

from __future__ import annotations

import copy
import ctypes
import importlib
import mmap
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FLOAT_BYTES = 4
BLOCK, FEW = 8, 3
"""oneDNN arranges the channels of a convolution in blocks of this many; 2-D inputs of so few are left as they are."""
UNFOLDED, SMALL_KERNEL = 20480, 3
"""PyTorch convolves a volume (1, C, X, Y, Z) by itself where C X Y is at most this and a kernel has at most this side:
each output voxel then takes a copy of all that its kernel sees."""


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations within this context make, and their largest sum at a time.

    A convolution counts its workspace as well, see :func:`workspace`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self._note(tensor.untyped_storage())
        more = workspace(args[0], args[1], made) if func is torch.ops.aten.convolution.default else 0
        self.peak = max(self.peak, self.now + more)
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self.now += size

        def forget(_: object) -> None:
            self.now -= size
            self._known.pop(key, None)

        self._known[key] = weakref.ref(storage, forget)


def without_values(network: nn.Module) -> nn.Module:
    """A copy of a network whose weights take no memory; single numbers, such as stages in use, keep their values."""
    weights: Iterable[Tensor] = [*network.parameters(), *(each for each in network.buffers() if each.ndim)]
    memo: dict[int, Any] = {}
    for each in weights:
        empty = each.detach().to("meta")
        memo[id(each)] = nn.Parameter(empty, requires_grad=False) if isinstance(each, nn.Parameter) else empty
    return copy.deepcopy(network, memo)


def forward_bytes(network: nn.Module, *shape: int) -> int:
    """Memory of a forward pass with an input of a shape, besides the input and the weights.

    Args:
        network: by :func:`without_values`, in eval mode.
        *shape: of the input, such as (B, C, H, W); float32.
    """
    given, fresh = torch.empty(shape, device="meta"), copy.deepcopy(network)  # without what earlier passes have cached
    with torch.no_grad(), _without_compiler(), LiveBytes() as live:
        fresh(given)
    return int(live.peak)


class _InPlaceOf(ModuleType):
    """A module with a few names of one that is imported when another name of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Operations without values do not import PyTorch's compiler and SymPy, which takes 2 s [measured].

    They ask whether a shape is right, which is a plain answer here, and that nothing in them be compiled.
    """
    told: list[Any] = []

    def disable(function: Any, *_: Any, **__: Any) -> Any:
        told.append(function)
        return function

    names: dict[str, dict[str, Any]] = {
        "torch._dynamo": {"disable": disable},
        "torch.fx.experimental.symbolic_shapes": {"expect_true": bool, "sym_and": lambda *conditions: all(conditions)},
    }
    light = {name: _InPlaceOf(name) for name in names if name not in sys.modules}
    for name, module in light.items():
        vars(module).update(names[name])
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in light.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        for function in told:
            vars(function).pop("__dynamo_disable", None)


def trim_memory() -> None:
    """Return freed memory to the system; glibc keeps blocks of up to 32 MB, which tensors of other sizes cannot use.

    Between the ways down and up of a U-Net in tiles the peak was twice the estimate without it [measured].
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def give_up(values: np.ndarray) -> None:
    """Return the memory of a contiguous array, all of it or a part, to the system; its values are lost, most become 0.

    Without effect on other systems than Linux.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
    if advise is not None and values.flags.c_contiguous:
        first = -(-values.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
        whole = (values.ctypes.data + values.nbytes - first) // mmap.PAGESIZE * mmap.PAGESIZE
        if whole > 0:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(whole), mmap.MADV_DONTNEED)


def workspace(given: Tensor, kernel: Tensor, made: Tensor) -> int:
    """Memory that a convolution takes besides its input, kernel and output, in bytes."""
    blocked = _blocked(made, BLOCK) + _blocked(given, 1 if given.ndim == 4 and given.shape[1] <= FEW else BLOCK)
    if given.ndim == 5 and max(kernel.shape[2:]) <= SMALL_KERNEL and given[..., 0].numel() <= UNFOLDED:
        return max(blocked, FLOAT_BYTES * made[0, 0].numel() * kernel[0, 0].numel() * given.shape[1])
    return blocked


def _blocked(tensor: Tensor, block: int) -> int:
    """Bytes of a tensor whose channels are filled up to blocks."""
    return tensor.element_size() * tensor[:, 0].numel() * (-(-tensor.shape[1] // block) * block)
