"""What goes in and comes out of each network, against what metadata say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from tools.verify.metadata import LABELS
from tools.verify.networks import Network, outputs
from tools.verify.shapes import choices, sizes
from tools.verify.verdicts import Fault, Found, NetworkCheck, NotApplicableError

ZOO = "model zoo, verify_bundle.py: verify_data_shape"
SPECIFICATION = "MONAI bundle specification, tensor format"
SLACK = 1e-5
"""Of the stated range: float32 rounds."""


def defined(network: Network) -> Found:
    """A config defines it, and it is a module."""
    if network.place is None:
        names = [path.name for path in network.bundle.config_files]
        remedy = f"define {network.id}, or remove {network.name}_data_format from the metadata"
        yield Fault(network.id, "is defined by a config", f"none of {', '.join(names)}", remedy)
        return
    parameters = sum(value.numel() for value in network.module.parameters())
    yield f"{parameters / 1e6:.2f} M parameters, from {network.place[0].name}"


def shape(network: Network) -> Found:
    """Batch, channels and sizes, on every size that is tried."""
    tried = []
    for batch, choice in _cases(network):
        inputs = network.inputs(batch, **choice)
        made = outputs(network.module, inputs)
        for key, tensor, pred in _pairs(network, made):
            expected = (batch, tensor["num_channels"], *sizes(tensor["spatial_shape"], **choice))
            if tuple(pred.shape) != expected:
                name = f"{network.id} {key} for inputs {[tuple(given.shape) for given in inputs]}"
                yield Fault(name, f"has shape {expected}", tuple(pred.shape), "mend metadata or network")
        tried.append("x".join(map(str, inputs[0].shape)))
    yield f"inputs {', '.join(tried)}"


def _cases(network: Network) -> Iterator[tuple[int, dict[str, int]]]:
    """The smallest size at two batch sizes, then larger ones."""
    if not network.given or not network.stated:
        raise NotApplicableError("metadata name no tensor that goes in and none that comes out")
    longest = max(network.given.values(), key=lambda tensor: len(choices(tensor["spatial_shape"])))
    smallest, *larger = choices(longest["spatial_shape"])
    yield from ((1, smallest), (2, smallest))
    yield from ((1, choice) for choice in larger)


def _pairs(network: Network, made: list[Tensor]) -> Iterator[tuple[str, Mapping[str, Any], Tensor]]:
    if len(made) < len(network.stated):
        raise ValueError(f"{network.id} returns {len(made)} tensors, metadata name {len(network.stated)}")
    for (key, tensor), pred in zip(network.stated.items(), made, strict=False):
        yield key, tensor, pred


def _smallest(network: Network) -> list[Tensor]:
    return outputs(network.module, network.inputs())


def dtype(network: Network) -> Found:
    """The type that metadata say."""
    for key, tensor, pred in _pairs(network, _smallest(network)):
        if pred.dtype != getattr(torch, tensor["dtype"]):
            yield Fault(f"{network.id} {key}", f"has dtype {tensor['dtype']}", pred.dtype, "mend metadata or network")


def finite(network: Network) -> Found:
    """No NaN, no infinity, from the weights it starts with."""
    for key, _, pred in _pairs(network, _smallest(network)):
        if not torch.isfinite(pred).all():
            count = int((~torch.isfinite(pred)).sum())
            yield Fault(f"{network.id} {key}", "is finite", f"{count} values that are not", "mend the network")


def value_range(network: Network) -> Found:
    """The output stays in the range that metadata say."""
    made = list(_pairs(network, _smallest(network)))
    if not any(_bounded(tensor) for _, tensor, _ in made):
        raise NotApplicableError("no output with a range (that of labels holds after postprocessing)")
    for key, tensor, pred in made:
        if _bounded(tensor):
            yield from outside(f"{network.id} {key}", tensor, pred)


def _bounded(tensor: Mapping[str, Any]) -> bool:
    return bool(tensor["value_range"]) and tensor["format"] not in LABELS


def outside(name: str, tensor: Mapping[str, Any], pred: Tensor) -> Found:
    """A fault where values leave the range, else the range they have."""
    lowest, highest = tensor["value_range"]
    slack = SLACK * (highest - lowest)
    found = [pred.min().item(), pred.max().item()]
    shown = f"[{found[0]:.4g}, {found[1]:.4g}]"
    if found[0] < lowest - slack or found[1] > highest + slack:
        yield Fault(name, f"lies in {[lowest, highest]}", shown, "bound the output, or write [] as value_range")
    yield f"{name} in {shown}"


CHECKS = (
    NetworkCheck("network.defined", "a config defines it and it can be built", ZOO, "zoo", defined),
    NetworkCheck("network.shape", "sizes and channels are as metadata say", ZOO, "zoo", shape),
    NetworkCheck("network.dtype", "its type is as metadata say", ZOO, "zoo", dtype),
    NetworkCheck("network.finite", "untrained, it gives finite values", SPECIFICATION, "sound", finite),
    NetworkCheck("network.range", "values lie in value_range", SPECIFICATION, "sound", value_range),
)
