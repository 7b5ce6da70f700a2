"""The guard against reads of the host, on functions of one line each."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from host_reads import META, HostReadError, no_host_reads
from torch import Tensor
from torch.nn import functional as F

FORBIDDEN: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x[0].item(),
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "bool": lambda x: bool((x > 0).any()),
    "if": lambda x: x if x.sum() > 0 else -x,
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "tolist": lambda x: x.tolist(),
    "list of numbers": lambda x: [int(each) for each in x],
    "nonzero": lambda x: x.nonzero(),
    "where of a mask alone": lambda x: torch.where(x > 0),
    "argwhere": lambda x: torch.argwhere(x),
    "mask": lambda x: x[x > 0],
    "assignment by mask": lambda x: x.__setitem__(x > 0, 0.0),
    "values by mask": lambda x: x.__setitem__(x > 0, x[:2]),
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: torch.unique(x),
    "unique_consecutive": lambda x: torch.unique_consecutive(x),
    "equal": lambda x: torch.equal(x, 2 * x),
    "index of no dimension": lambda x: x[torch.zeros((), dtype=torch.long, device=x.device)],
    "index of the host": lambda x: x[torch.tensor([1, 0])],
    "index_select of the host": lambda x: x.index_select(0, torch.tensor([1, 0])),
    "upload": lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=x.device),
    "upload of one number": lambda x: x + torch.tensor(1.0, device=x.device),
    "upload later": lambda x: x + torch.ones(3).to(x.device),
    "copy from the host": lambda x: x.copy_(torch.ones(3)),
    "copy to the host": lambda x: torch.ones(3).copy_(x),
    "backward of a read": lambda x: _read_backwards(x),
    "random numbers of PyTorch on the host": lambda x: x * torch.rand(()),
    "random integers of PyTorch on the host": lambda x: x + int(torch.randint(3, ())),
    "random permutation on the host": lambda x: torch.randperm(3),
    "random numbers of Python": lambda x: x * random.random(),
    "random numbers of NumPy": lambda x: x * float(np.random.rand()),
    "momentum none": lambda x: torch.nn.BatchNorm1d(3, momentum=None).to(META)(x.expand(2, 3)),
    "clipping that refuses infinity": lambda x: _clip(x, error_if_nonfinite=True),
}  # fmt: skip
ALLOWED: dict[str, Callable[[Tensor], object]] = {
    "arithmetic": lambda x: (x * 2 + 1).mean(),
    "a number of the host": lambda x: x + torch.zeros(()),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked_fill": lambda x: x.masked_fill(x > 0, 0.0),
    "random numbers on the device": lambda x: x * torch.rand((), device=x.device),
    "random integers on the device": lambda x: torch.randint(3, (2,), device=x.device),
    "dropout": lambda x: F.dropout(x, 0.5),
    "index on the device": lambda x: x.index_select(0, torch.arange(2, device=x.device)),
    "clipping": lambda x: _clip(x),
    "tensors of the host alone": lambda x: torch.ones(3).sum() + torch.ones(3).max(),
}  # fmt: skip


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * gradient.sum().item()


def _read_backwards(x: Tensor) -> None:
    _Read.apply(x.clone().requires_grad_()).sum().backward()


def _clip(x: Tensor, **options: bool) -> None:
    weight = torch.nn.Parameter(x)
    (weight * x).sum().backward()
    torch.nn.utils.clip_grad_norm_([weight], 1.0, **options)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_a_graph_cannot_record_fails(name: str) -> None:
    with pytest.raises(HostReadError), no_host_reads():
        FORBIDDEN[name](torch.ones(3, device=META))


@pytest.mark.parametrize("name", ALLOWED)
def test_what_it_can_record_passes(name: str) -> None:
    with no_host_reads():
        ALLOWED[name](torch.ones(3, device=META))


def test_arrays_of_numpy_are_refused_by_meta_itself() -> None:
    with pytest.raises(TypeError, match="convert meta device type tensor to numpy"), no_host_reads():
        torch.ones(3, device=META).numpy()


def test_without_the_guard_meta_lets_a_mask_and_a_draw_through() -> None:
    x = torch.ones(3, device=META)
    FORBIDDEN["assignment by mask"](x)
    FORBIDDEN["random numbers of Python"](x)
    assert FORBIDDEN["upload"](x).shape == (3,)
