"""Tensor sizes in metadata, for a release at another size than the published one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser

FORMAT = "_data_format"
DEPLOYED = "network"
PATCH_SETTINGS = ("crop_size", "patch_size")
"""Settings that say how large a training's patches are, by their side or all three sides."""
CONVOLUTIONS = (torch.nn.Conv2d, torch.nn.Conv3d)


def resized(metadata: str, published: str, merged: str) -> str:
    """Metadata with the sizes of a config that other settings are merged into: channels, and patches of training.

    Spatial sizes of the deployed network stay, since it takes many. Where another network is deployed than the
    published one, nothing bounds its output. All are texts: of ``metadata.json``, of ``train.yaml``, and of the same
    with the settings.
    """
    content, config, original = json.loads(metadata), yaml.safe_load(merged), yaml.safe_load(published)
    before, after = _patch(original), _patch(config)
    for key, described in content.items():
        name = key.removesuffix(FORMAT)
        if not key.endswith(FORMAT) or f"{name}_def" not in config:
            continue
        network = ConfigParser(dict(config)).get_parsed_content(f"{name}_def").eval()
        image, pred = described["inputs"]["image"], described["outputs"]["pred"]
        changed = _set_channels(image, network)
        if _kind(config, name) != _kind(original, name):
            pred["value_range"] = []
            content.get("traits", {})["bounded"] = False
        if name != DEPLOYED and image["spatial_shape"] == [before] * len(image["spatial_shape"]):
            image["spatial_shape"] = [after] * len(image["spatial_shape"])
            changed = True
        if name != DEPLOYED and changed:
            pred["spatial_shape"] = _produced(network, [image["num_channels"], *image["spatial_shape"]])
    return json.dumps(content, indent=4) + "\n"


def _set_channels(image: dict[str, Any], network: torch.nn.Module) -> bool:
    """Describe the channels of the first convolution, where the network does not take those that are described.

    A network whose first convolution sees something else than the input says itself what it takes: one of noise by
    ``latent_shape``, others by ``channel_names``.
    """
    sides = [int(re.findall(r"\d+", str(side))[0]) for side in image["spatial_shape"]]
    first = next((each for each in network.modules() if isinstance(each, CONVOLUTIONS)), None)
    names = dict(enumerate(getattr(network, "channel_names", ())))
    noise = getattr(network, "latent_shape", None)
    taken = len(names) or (noise[0] if noise else None if first is None else first.in_channels)
    if taken is None or taken == image["num_channels"] or _takes(network, [image["num_channels"], *sides]):
        return False
    named = {str(n): name for n, name in names.items()} or image.get("channel_def", {})
    image["num_channels"] = taken
    image["channel_def"] = {str(n): named.get(str(n), f"channel {n}") for n in range(taken)}
    return True


def _kind(config: Mapping[str, Any], name: str) -> Any:
    """The class of a network; None where another config defines it."""
    defined = config.get(f"{name}_def")
    return defined["_target_"] if isinstance(defined, Mapping) else None


def _takes(network: torch.nn.Module, shape: list[int]) -> bool:
    try:
        _produced(network, shape)
    except RuntimeError:
        return False
    return True


def _patch(config: Mapping[str, Any]) -> int | None:
    sides = next((config[name] for name in PATCH_SETTINGS if name in config), None)
    return sides[0] if isinstance(sides, list) else sides


def _produced(network: torch.nn.Module, shape: list[int]) -> list[int]:
    with torch.no_grad():
        return list(network(torch.zeros(1, *shape)).shape[2:])
