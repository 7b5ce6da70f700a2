"""A bundle as others write them, small enough for a test: JSON configs, a package of its own, one convolution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

CODE = """
import os, socket, time
import torch
from torch import nn

class Conv(nn.Conv2d):
    def __init__(self, channels=1):
        super().__init__(1, channels, 3, padding=1)

class Half(Conv):
    def forward(self, x):
        return super().forward(x).half()

class Wide(Conv):
    def forward(self, x):
        return 100 * x

class Broken(Conv):
    def forward(self, x):
        return super().forward(x) / 0

class Random(Conv):
    def forward(self, x):
        return x + torch.rand_like(x)

class Fetching(Conv):
    def __init__(self):
        super().__init__()
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=1)
        except OSError:
            pass

def leave():
    os._exit(7)

def hang():
    time.sleep(600)
"""
SOUND = {"network": "Conv"}
FAULTY = {
    "channels": {"_target_": "toy_nets.Conv", "channels": 2},
    "half": "Half",
    "wide": "Wide",
    "broken": "Broken",
    "random": "Random",
    "fetching": "Fetching",
    "leaving": "leave",
    "number": {"_target_": "builtins.int"},
}


def tensor(**changes: Any) -> dict[str, Any]:
    """A slice of 8 x 8 pixels in metadata."""
    plain = {"type": "image", "format": "magnitude", "num_channels": 1, "spatial_shape": ["8*n", "8*n"]}
    return {**plain, "dtype": "float32", "value_range": [-5, 5], "channel_def": {"0": "image"}, **changes}


def write(folder: Path, networks: dict[str, Any]) -> Path:
    """Write the bundle ``toy`` with these networks, named or as their whole config; ``network`` has weights."""
    root = folder / "toy"
    for place in ("configs", "docs", "models", "toy_nets"):
        (root / place).mkdir(parents=True)
    definitions = {f"{name}_def": _definition(value) for name, value in networks.items()}
    inference = {
        "bundle_root": ".",
        "dataset_dir": "/nowhere/data",
        "device": "$torch.device('cpu')",
        **definitions,
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},
        "dataset": {"_target_": "CacheDataset", "data": [{"image": "/nowhere/a.nii"}], "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset"},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": []},
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
                      "network": "@network_def", "inferer": "@inferer", "postprocessing": "@postprocessing"},
        "run": ["$@evaluator.run()"],
    }  # fmt: skip
    metadata = {
        "schema": "https://example.org/meta_schema_20240725.json",
        "version": "1.0.0",
        "changelog": {"1.0.0": "first"},
        "monai_version": "1.4.0",
        "pytorch_version": "2.6.0",
        "numpy_version": "2.0.0",
        "required_packages_version": {},
        **dict.fromkeys(("name", "task", "description", "authors", "copyright", "intended_use"), "a toy"),
        "data_source": "none",
        "references": ["a paper"],
        **{f"{name}_data_format": {"inputs": {"image": tensor()}, "outputs": {"pred": tensor()}} for name in networks},
    }
    (root / "configs" / "inference.json").write_text(json.dumps(inference))
    (root / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (root / "LICENSE").write_text("free")
    (root / "docs" / "README.md").write_text("a toy")
    (root / "toy_nets" / "__init__.py").write_text(CODE)
    torch.manual_seed(1)
    torch.save(torch.nn.Conv2d(1, 1, 3, padding=1).state_dict(), root / "models" / "model.pt")
    return root


def _definition(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"_target_": f"toy_nets.{value}"}
