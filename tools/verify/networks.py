"""The networks that metadata describe: definition, weights, inputs, outputs."""

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

from common.path_names import texts
from common.raw_settings import references
from common.weights.safe_settings import require_safe
from tools.verify.bundle import Bundle
from tools.verify.shapes import sizes
from tools.verify.verdicts import NotApplicableError

SEED = 0
RUN = "run.json"
"""Where a training of this collection writes the configuration that its weights belong to."""


@dataclass(frozen=True)
class Network:
    """One network that the metadata of a bundle describe; ``network`` is that of ``network_data_format``."""

    bundle: Bundle
    name: str

    @cached_property
    def place(self) -> tuple[Path, str] | None:
        """The config that defines it, inference before others, and its id there."""
        configs = self.bundle.readable()
        order = {"inference": 0, "train": 1}
        paths = sorted(configs, key=lambda path: order.get(path.stem, 2))
        found = ((path, key) for path in paths for key in (f"{self.name}_def", self.name) if key in configs[path])
        return next(found, None)

    @property
    def id(self) -> str:
        """Its id in the config."""
        return self.place[1] if self.place else f"{self.name}_def"

    @cached_property
    def module(self) -> nn.Module:
        """It, with the weights it starts with, in evaluation mode on the CPU.

        Weights of another name than ``model.pt``, which a bundle of this collection ships, may have another network.
        """
        if self.place is None:
            raise NotApplicableError(f"no config defines {self.id}")
        over = self.bundle.config(self.bundle.overlay) if self.bundle.overlay else None
        parser = self.bundle.parser(*filter(None, (self.place[0], over)))
        parser.update(settings_here(self.bundle, parser))
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
        config = json.loads(run.read_text(encoding="utf-8"))["config"]
        names = {name.split("::")[0] for name in references(config, [self.id])}
        needed = {name: config[name] for name in config if name in names}  # MONAI runs any import of a configuration
        require_safe(needed, RUN, texts(list(self.bundle.readable().values())))
        return _build(ConfigParser(needed), self.id)

    def tensors(self, side: str) -> dict[str, Mapping[str, Any]]:
        """Its ``inputs`` or ``outputs`` by name, in order."""
        listed = self.bundle.formats[self.name].get(side, {})
        return {key: value for key, value in listed.items() if isinstance(value, dict)}

    def inputs(self, batch: int = 1, **choice: int) -> list[Tensor]:
        """Random tensors (B, C, ...) as metadata describe them, for a choice of ``n`` and ``p``."""
        generator = torch.Generator().manual_seed(SEED)
        return [_fill(tensor, batch, generator, choice) for tensor in self.tensors("inputs").values()]


def all_networks(bundle: Bundle) -> list[Network]:
    """One for each ``<name>_data_format``, the deployed one first."""
    return [Network(bundle, name) for name in sorted(bundle.formats, key=lambda name: name != "network")]


def settings_here(bundle: Bundle, parser: ConfigParser) -> dict[str, Any]:
    """Settings by which a config finds its bundle where it lies and computes on the CPU, as the zoo's CI does."""
    here: dict[str, Any] = {"device": torch.device("cpu")} if "device" in parser else {}
    return here | ({"bundle_root": str(bundle.folder)} if isinstance(parser.get("bundle_root"), str) else {})


def outputs(module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All tensors that a network returns, in order."""
    with torch.no_grad():
        made = module(*inputs)
    parts = list(made.values()) if isinstance(made, dict) else list(made) if isinstance(made, tuple | list) else [made]
    return [part.as_subclass(Tensor) for part in parts if isinstance(part, Tensor)]


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
