"""A network of a bundle: which config defines it, how it is built, and tensors that it must take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from tools.verify.bundle import Bundle
from tools.verify.shapes import sizes
from tools.verify.verdicts import NotApplicableError

SEED = 0
RUN = "run.json"
"""Where a training of this collection writes the configuration that its weights belong to."""


@dataclass(frozen=True)
class Network:
    """One network that metadata describe.

    Args:
        bundle: whose.
        name: ``network`` for ``network_data_format``.
    """

    bundle: Bundle
    name: str

    @property
    def format(self) -> Mapping[str, Any]:
        """What metadata say of it."""
        return self.bundle.formats[self.name]

    @cached_property
    def place(self) -> tuple[Path, str] | None:
        """The config that defines it, inference before others, and its id there."""
        named = [path for stem in ("inference", "train") if (path := self.bundle.config(stem)) is not None]
        for path in [*named, *(path for path in self.bundle.config_files if path not in named)]:
            try:
                content = self.bundle.own(path)
            except NotApplicableError:
                continue  # configs.readable says so
            for key in (f"{self.name}_def", self.name):
                if key in content:
                    return path, key
        return None

    @property
    def id(self) -> str:
        """Its id in the config."""
        return self.place[1] if self.place else f"{self.name}_def"

    @cached_property
    def module(self) -> nn.Module:
        """It, with the weights it starts with, in evaluation mode on the CPU.

        Raises:
            NotApplicableError: where no config defines it, which ``network.defined`` says.
        """
        if self.place is None:
            raise NotApplicableError(f"no config defines {self.id}")
        path, key = self.place
        return _build(adapt(self.bundle.parser(path, *self.bundle.over), self.bundle), key)

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
        parser = ConfigParser()
        parser.read_config(json.loads(run.read_text(encoding="utf-8"))["config"])
        return _build(parser, self.id)

    @property
    def given(self) -> dict[str, Mapping[str, Any]]:
        """Its input tensors by name, in order."""
        return {key: value for key, value in self.format.get("inputs", {}).items() if isinstance(value, dict)}

    @property
    def stated(self) -> dict[str, Mapping[str, Any]]:
        """Its output tensors by name, in order."""
        return {key: value for key, value in self.format.get("outputs", {}).items() if isinstance(value, dict)}

    def inputs(self, batch: int = 1, **choice: int) -> list[Tensor]:
        """Random tensors (B, C, ...) as metadata describe them, for a choice of ``n`` and ``p``."""
        generator = torch.Generator().manual_seed(SEED)
        given = self.given.values()
        return [_fill(tensor, batch, sizes(tensor["spatial_shape"], **choice), generator) for tensor in given]


def _build(parser: ConfigParser, key: str) -> nn.Module:
    torch.manual_seed(SEED)
    module = parser.get_parsed_content(key)
    if not isinstance(module, nn.Module):
        raise TypeError(f"{key} is a {type(module).__name__}, no torch.nn.Module")
    return module.to("cpu").eval()


def adapt(parser: ConfigParser, bundle: Bundle) -> ConfigParser:
    """Let a config find its bundle where it lies and compute on the CPU, as the model zoo's CI does."""
    if isinstance(parser.get("bundle_root"), str):
        parser["bundle_root"] = str(bundle.folder)
    if "device" in parser:
        parser["device"] = torch.device("cpu")
    return parser


def _fill(tensor: Mapping[str, Any], batch: int, sides: list[int], generator: torch.Generator) -> Tensor:
    shape, dtype = (batch, tensor["num_channels"], *sides), getattr(torch, tensor["dtype"])
    limits = tensor["value_range"] or [-1, 1]
    if not dtype.is_floating_point:
        return torch.randint(int(limits[0]), int(limits[1]) + 1, shape, generator=generator).to(dtype)
    return (torch.rand(shape, generator=generator) * (limits[1] - limits[0]) + limits[0]).to(dtype)


def outputs(module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All tensors that a network returns, in order."""
    with torch.no_grad():
        made = module(*inputs)
    parts = list(made.values()) if isinstance(made, dict) else list(made) if isinstance(made, tuple | list) else [made]
    return [part.as_subclass(Tensor) for part in parts if isinstance(part, Tensor)]


def all_networks(bundle: Bundle) -> list[Network]:
    """One for each ``<name>_data_format``, the deployed one first."""
    return [Network(bundle, name) for name in sorted(bundle.formats, key=lambda name: name != "network")]
