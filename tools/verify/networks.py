"""Checks of networks: definition, output shape, type and range against the metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from tools.verify.bundle import Bundle
from tools.verify.metadata import LABELS
from tools.verify.shapes import choices, sizes
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

ZOO = "model zoo, verify_bundle.py: verify_data_shape"
SEED = 0
RUN = "run.json"
"""Where a training of this collection writes the configuration that its weights belong to."""
SLACK = 1e-5
"""Of the stated range: float32 rounds."""


@dataclass(frozen=True)
class Network:
    """One network that metadata describe.

    Args:
        bundle: whose.
        name: ``network`` for ``network_data_format``.
    """

    bundle: Bundle
    name: str

    @cached_property
    def place(self) -> tuple[Path, str] | None:
        """The config that defines it, inference before others, and its id there."""
        configs = self.bundle.readable()
        order = {"inference": 0, "train": 1}
        for path in sorted(configs, key=lambda path: order.get(path.stem, 2)):
            for key in (f"{self.name}_def", self.name):
                if key in configs[path]:
                    return path, key
        return None

    @property
    def id(self) -> str:
        """Its id in the config."""
        return self.place[1] if self.place else f"{self.name}_def"

    @cached_property
    def module(self) -> nn.Module:
        """It, with the weights it starts with, in evaluation mode on the CPU."""
        if self.place is None:
            raise NotApplicableError(f"no config defines {self.id}")
        over = self.bundle.config(self.bundle.overlay) if self.bundle.overlay else None
        parser = self.bundle.parser(*filter(None, (self.place[0], over)))
        for key, value in settings_here(self.bundle, parser).items():
            parser[key] = value
        return _build(parser, self.id)

    @property
    def weights(self) -> Path:
        """Its trained weights: ``model.pt``, or ``model_<name>.pt`` for another than the deployed network."""
        name = "model.pt" if self.name == "network" else f"model_{self.name}.pt"
        return self.bundle.folder / "models" / name

    @cached_property
    def trained(self) -> nn.Module:
        """It, as the run that trained its weights configured it: by ``run.json`` beside them, else as shipped."""
        run = self.bundle.folder / RUN
        if not run.is_file():
            return self.module
        return _build(ConfigParser(json.loads(run.read_text(encoding="utf-8"))["config"]), self.id)

    def tensors(self, side: str) -> dict[str, Mapping[str, Any]]:
        """Its ``inputs`` or ``outputs`` by name, in order."""
        listed = self.bundle.formats[self.name].get(side, {})
        return {key: value for key, value in listed.items() if isinstance(value, dict)}

    def inputs(self, batch: int = 1, **choice: int) -> list[Tensor]:
        """Random tensors (B, C, ...) as metadata describe them, for a choice of ``n`` and ``p``."""
        generator = torch.Generator().manual_seed(SEED)
        return [_fill(tensor, batch, generator, choice) for tensor in self.tensors("inputs").values()]


def settings_here(bundle: Bundle, parser: ConfigParser) -> dict[str, Any]:
    """Settings by which a config finds its bundle where it lies and computes on the CPU, as the zoo's CI does."""
    here: dict[str, Any] = {"device": torch.device("cpu")} if "device" in parser else {}
    return here | ({"bundle_root": str(bundle.folder)} if isinstance(parser.get("bundle_root"), str) else {})


def _build(parser: ConfigParser, key: str) -> nn.Module:
    torch.manual_seed(SEED)
    module = parser.get_parsed_content(key)
    if not isinstance(module, nn.Module):
        raise TypeError(f"{key} is a {type(module).__name__}, no torch.nn.Module")
    return module.to("cpu").eval()


def _fill(tensor: Mapping[str, Any], batch: int, generator: torch.Generator, choice: dict[str, int]) -> Tensor:
    shape = (batch, tensor["num_channels"], *sizes(tensor["spatial_shape"], **choice))
    dtype, (low, high) = getattr(torch, tensor["dtype"]), tensor["value_range"] or (-1, 1)
    if not dtype.is_floating_point:
        return torch.randint(int(low), int(high) + 1, shape, generator=generator).to(dtype)
    return (torch.rand(shape, generator=generator) * (high - low) + low).to(dtype)


def outputs(module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All tensors that a network returns, in order."""
    with torch.no_grad():
        made = module(*inputs)
    parts = list(made.values()) if isinstance(made, dict) else list(made) if isinstance(made, tuple | list) else [made]
    return [part.as_subclass(Tensor) for part in parts if isinstance(part, Tensor)]


def all_networks(bundle: Bundle) -> list[Network]:
    """One for each ``<name>_data_format``, the deployed one first."""
    return [Network(bundle, name) for name in sorted(bundle.formats, key=lambda name: name != "network")]


@check("network.defined", "zoo", ZOO, "network")
def defined(network: Network) -> Found:
    """A config defines it and it can be built."""
    if network.place is None:
        names = ", ".join(path.name for path in network.bundle.config_files)
        remedy = f"define {network.id}, or remove {network.name}_data_format from the metadata"
        yield Fault(network.id, "is defined by a config", f"none of {names}", remedy)
        return
    parameters = sum(value.numel() for value in network.module.parameters())
    yield f"{parameters / 1e6:.2f} M parameters, from {network.place[0].name}"


@check("network.output", "zoo", ZOO, "network")
def output(network: Network) -> Found:
    """Untrained, its output has the shape, type and range of the metadata and is finite, on every size tried."""
    given, stated = network.tensors("inputs"), network.tensors("outputs")
    if not given or not stated:
        raise NotApplicableError("metadata name no tensor that goes in and none that comes out")
    smallest, *larger = max((choices(tensor["spatial_shape"]) for tensor in given.values()), key=len)
    tried = []
    for batch, choice in [(1, smallest), (2, smallest), *((1, choice) for choice in larger)]:
        inputs = network.inputs(batch, **choice)
        tried.append("x".join(map(str, inputs[0].shape)))
        made = outputs(network.module, inputs)
        if len(made) < len(stated):
            yield Fault(network.id, f"returns {len(stated)} tensors", len(made), "correct metadata or network")
        for (key, tensor), pred in zip(stated.items(), made, strict=False):
            shape = (batch, tensor["num_channels"], *sizes(tensor["spatial_shape"], **choice))
            name, remedy = f"{network.id} {key} for inputs {tried[-1]}", "correct metadata or network"
            if tuple(pred.shape) != shape:
                yield Fault(name, f"has shape {shape}", tuple(pred.shape), remedy)
            if pred.dtype != getattr(torch, tensor["dtype"]):
                yield Fault(name, f"has dtype {tensor['dtype']}", pred.dtype, remedy)
            yield from sound_values(name, tensor, pred)
    yield f"inputs {', '.join(tried)}"


def sound_values(name: str, tensor: Mapping[str, Any], pred: Tensor) -> Iterator[Fault]:
    """Faults of values that are not finite or leave the stated range; that of labels holds after postprocessing."""
    if count := int((~torch.isfinite(pred)).sum()):
        yield Fault(name, "is finite", f"{count} values that are not", "correct the network, or use other weights")
    elif tensor["value_range"] and tensor["format"] not in LABELS:
        lowest, highest = tensor["value_range"]
        slack = SLACK * (highest - lowest)
        if pred.min() < lowest - slack or pred.max() > highest + slack:
            found = f"[{pred.min().item():.4g}, {pred.max().item():.4g}]"
            yield Fault(name, f"lies in {[lowest, highest]}", found, "bound the output, or write [] as value_range")
