"""Tensor sizes in metadata, for a release at another size than the published one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser

FORMAT = "_data_format"
DEPLOYED = "network"
PATCH_SETTINGS = ("crop_size", "patch_size")
"""Settings that say how large a training's patches are, by their side or all three sides."""


def resized(metadata: str, published: str, merged: str) -> str:
    """Metadata whose networks of training alone have the sizes of an overlaid config; the deployed one takes many.

    All are texts: of ``metadata.json``, of ``train.yaml``, and of the same with the overlay.
    """
    content, config = json.loads(metadata), yaml.safe_load(merged)
    before, after = _patch(yaml.safe_load(published)), _patch(config)
    for key, described in content.items():
        name = key.removesuffix(FORMAT)
        if key.endswith(FORMAT) and name != DEPLOYED and f"{name}_def" in config:
            image, pred = described["inputs"]["image"], described["outputs"]["pred"]
            if image["spatial_shape"] == [before] * len(image["spatial_shape"]):
                image["spatial_shape"] = [after] * len(image["spatial_shape"])
                pred["spatial_shape"] = _produced(config, name, [image["num_channels"], *image["spatial_shape"]])
    return json.dumps(content, indent=4) + "\n"


def _patch(config: Mapping[str, Any]) -> int | None:
    sides = next((config[name] for name in PATCH_SETTINGS if name in config), None)
    return sides[0] if isinstance(sides, list) else sides


def _produced(config: dict[str, Any], name: str, shape: list[int]) -> list[int]:
    network = ConfigParser(config).get_parsed_content(f"{name}_def").eval()
    with torch.no_grad():
        return list(network(torch.zeros(1, *shape)).shape[2:])
