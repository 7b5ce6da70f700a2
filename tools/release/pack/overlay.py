"""Merging an overlay into the text of a config, comments and order kept."""

from __future__ import annotations

import json

import yaml

from common.config.weights import Adoption
from common.errors import ConfigError
from common.weights.info import IMAGES, WeightsInfo

HEAD_LINE = 2
"""The third line of a config has time and expected result: those of the overlay, once it is merged in."""
WEIGHTS = "model"
"""Stands for an overlay where weights are packed: the settings that they were trained with."""


def require_mergeable(overlay: str, name: str, train: str) -> None:
    """The text of an overlay can be merged where it sets what the text of ``train.yaml`` sets, as ``demo.yaml`` does.

    Raises:
        ConfigError: for a variant, whose weights lie elsewhere, and for settings that ``train.yaml`` does not have.
    """
    given, known = yaml.safe_load(overlay), yaml.safe_load(train)
    remedy = "choose one like demo, or none"
    if "variant" in given:
        raise ConfigError(f"--overlay {name} is the variant {given['variant']} of the method", remedy)
    if foreign := sorted(given.keys() - known.keys()):
        raise ConfigError(f"--overlay {name} sets {', '.join(foreign)}, which train.yaml does not have", remedy)
    for key, node in _settings(overlay):
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        if block or (isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")):
            raise ConfigError(f"{key.value} in {name}.yaml is a block", "write it in brackets, braces or quotes")


def merge(config: str, overlay: str, name: str) -> str:
    """The text of a config with the values of an overlay, as far as it has the settings.

    The overlay has scalars, lists and dictionaries in flow style; the third line of the config's head names it.
    """
    values = {key.value: overlay[node.start_mark.index : node.end_mark.index] for key, node in _settings(overlay)}
    nodes = {name: node for name in values if (node := _at(yaml.compose(config), name)) is not None}
    edits = [(node.start_mark.index, _end(node, config), values[name]) for name, node in nodes.items()]
    for start, end, value in sorted(edits, reverse=True):
        config = config[:start] + value + config[end:]
    lines = config.split("\n")
    head = overlay.split("\n")[HEAD_LINE].removeprefix("# ")
    lines[HEAD_LINE] = f"# With the settings of {name}, whose sizes are not the published ones. {head}"
    return "\n".join(lines)


def _settings(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    node = yaml.compose(text)
    return node.value if isinstance(node, yaml.MappingNode) else []


def _at(node: yaml.Node | None, place: str) -> yaml.Node | None:
    """The node of the setting with an id; None where there is none."""
    for part in place.split("::"):
        parts = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in parts if key.value == part), None)
    return node


def _end(node: yaml.Node, text: str) -> int:
    """Where a node ends, a block with the comment of its last line; its mark lies where the next key begins."""
    last = node
    while isinstance(last, yaml.CollectionNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    end = len(text[: last.end_mark.index].rstrip())
    return end if last is node else f"{text}\n".index("\n", end)


def of_weights(about: WeightsInfo, config: str) -> str:
    """The text of a config with what weights were trained with; settings that it does not have come at its end."""
    own = yaml.safe_load(config)
    changes = Adoption(about, own, [own]).changes()
    lines = {name: f"{name}: {json.dumps(value)}" for name, value in changes.items()}
    origin = f"# Trained on {about.trained_on.get('data', IMAGES)}."
    text = "\n".join(["# Settings of the weights inside.", "#", origin, *lines.values()]) + "\n"
    lacking = [line for name, line in lines.items() if name not in own and "::" not in name]
    return merge(config, text, WEIGHTS) + "".join(f"{line}\n" for line in lacking)
