"""Merging an overlay into the text of a config, comments and order kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from common.errors import ConfigError
from tools.pack.renaming import Edit, replaced

HEAD_LINE = 2
"""The third line of a config tells time and expected result: those of the overlay, once it is merged in."""


def require_mergeable(overlay: str, name: str, train: str) -> None:
    """An overlay can be merged where it sets what ``train.yaml`` sets, as ``demo.yaml`` does.

    Args:
        overlay: its text.
        name: its name, without suffix.
        train: the text of ``train.yaml``.

    Raises:
        ConfigError: for a variant, whose weights lie elsewhere, and for settings that ``train.yaml`` does not have.
    """
    given, known = yaml.safe_load(overlay), yaml.safe_load(train)
    remedy = "choose one like demo, or none"
    if "variant" in given:
        raise ConfigError(f"--overlay {name}", "is no variant of the method", f"variant {given['variant']}", remedy)
    if foreign := sorted(given.keys() - known.keys()):
        raise ConfigError(f"--overlay {name}", "sets only what train.yaml sets", ", ".join(foreign), remedy)
    for key, node in _settings(overlay):
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            remedy = "write it in brackets or braces"
            raise ConfigError(f"{name}.yaml: {key.value}", "is a number, a text, [...] or {...}", "a block", remedy)


def merge(config: str, overlay: str, name: str) -> str:
    """A config with the values of an overlay, as far as it has the settings.

    Args:
        config: the text of ``train.yaml`` or ``inference.yaml``, which opens with three comment lines.
        overlay: the text of an overlay of scalars, lists and dictionaries in flow style.
        name: the overlay's name, for the third line of the head.
    """
    values = {key.value: overlay[node.start_mark.index : node.end_mark.index] for key, node in _settings(overlay)}
    edits: list[Edit] = [
        (node.start_mark.index, node.end_mark.index, values[key.value])
        for key, node in _settings(config)
        if key.value in values
    ]
    lines = replaced(config, edits).split("\n")
    told = overlay.split("\n")[HEAD_LINE].removeprefix("# ")
    lines[HEAD_LINE] = f"# With {name}.yaml merged in, whose sizes are not the published ones. {told}"
    return "\n".join(lines)


def _settings(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    node = yaml.compose(text)
    return node.value if isinstance(node, yaml.MappingNode) else []


def of_settings(settings: Mapping[str, Any], result: str) -> str:
    """The text of an overlay that sets what shipped weights need.

    Args:
        settings: plain values by name.
        result: for the third line of its head.
    """
    lines = [f"{name}: {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["# Settings of weights that the bundle ships.", "#", f"# {result}", *lines]) + "\n"
