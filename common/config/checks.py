"""Checks of settings: known name, type of the default, and what fits each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

from .. import devices
from ..errors import ConfigError
from ..path_names import is_path, is_reference, texts
from ..raw_settings import components
from ..units import HU, HU_MAXIMUM, HU_MINIMUM

WINDOWS = ("source_window", "target_window", "source_percentiles")
TRACKING: Any = DEFAULT_EXP_MGMT_SETTINGS["mlflow"]["configs"]
"""Settings that MONAI adds for ``--tracking mlflow``."""
A_NUMBER = re.compile(r"[+-]?[\d.]+e[+-]?\d+", re.IGNORECASE)
"""What YAML 1.1 takes for a text where it has no point."""
TYPES = {
    bool: ("true or false", "pass true or false"),
    int: ("a whole number", "pass a number such as {default}"),
    float: ("a number", "pass a number such as {default}"),
    str: ("a text", "pass a text such as {default}"),
    list: ("of the form {default}", "pass a list of that form"),
    dict: ("a section", "pass --{key}::NAME VALUE"),
}
"""What a value of a type is in messages, and the remedy for another one."""
LISTED = "see docs/reference/settings.md or the output of synthesize config BUNDLE"
"""Where all settings of a bundle are found."""
FOR_PROGRAMS = "initialize"
"""Id that MONAI's workflows build first, in which a program names ``%prepare``."""


def check(config: Mapping[str, Any], shipped: Mapping[str, list[Any]]) -> None:
    """Check a configuration against the defaults of the bundle.

    Args:
        config: top-level keys and raw values.
        shipped: every top-level key of the config files of the bundle, with its values there.

    Raises:
        ConfigError: for the first setting that is unknown, of another type than its default, or does not fit others.
    """
    require_known(config, config, shipped)
    for key, value in config.items():
        check_type(key, value, shipped.get(key, []))
    if not config.get("pretrained"):  # the depth is that of the weights then, which are not read yet
        check_sizes(config)
    for key in WINDOWS:
        _check_window(key, config.get(key))
    _check_unit(config)
    if isinstance(device := config.get("device"), str) and not is_reference(device):
        devices.require(device)


def require_known(config: Mapping[str, Any], names: Iterable[str], shipped: Mapping[str, list[Any]]) -> None:
    """Refuse a name that is no setting of the bundle and that nothing of the configuration refers to.

    Args:
        config: top-level keys and raw values.
        names: ids of settings in it.
        shipped: as of :func:`check`.

    Raises:
        ConfigError: for the first one, with the nearest name, or where a part of a component has it, with its id.
    """
    text = texts(list(config.values()))
    for key in (name.split("::")[0] for name in names):
        if key in shipped or key in TRACKING or key == FOR_PROGRAMS or re.search(rf"[@%]{re.escape(key)}\b", text):
            continue
        inside = [place for name, values in shipped.items() for value in values for place in _named(key, name, value)]
        nearest = inside[:1] or difflib.get_close_matches(key, shipped, n=1)
        remedy = f"did you mean --{nearest[0]}?" if nearest else LISTED
        raise ConfigError(f"--{key} is not a setting of this bundle (value {config[key]!r})", remedy)


def _named(name: str, place: str, value: Any) -> list[str]:
    """The ids of the settings of a name in the components of a setting."""
    return [f"{where}::{name}" for where, component in components(value, place) if name in component]


def _check_window(key: str, value: Any) -> None:
    """A window is two numbers, low and high; several channels have a list of them."""
    if not isinstance(value, list | tuple):
        return
    for window in value if value and all(isinstance(part, list | tuple) for part in value) else [value]:
        numbers = [part for part in window if isinstance(part, int | float) and not isinstance(part, bool)]
        if not (len(numbers) == len(window) == 2 and numbers[0] < numbers[1]) and not any(map(is_reference, window)):
            raise ConfigError(f"--{key} is {value}, not two numbers, the lower first", "write [low, high]")


def _check_unit(config: Mapping[str, Any]) -> None:
    """An output in HU needs a target window that spans soft tissue; with another window the unit is another one."""
    output, window = config.get("output"), config.get("target_window")
    if not isinstance(output, Mapping) or output.get("unit") != HU or not isinstance(window, list | tuple):
        return
    if not window[0] <= HU_MINIMUM < HU_MAXIMUM <= window[1]:
        fault = f"--target_window {list(window)} does not span {HU_MINIMUM} to {HU_MAXIMUM}, but --output::unit is HU"
        options = "--output::modality MR --output::unit a.u. --output::suffix synthetic_t2 --head_threshold N"
        raise ConfigError(fault, f"for another target pass its unit as well, {options}")


def check_sizes(config: Mapping[str, Any]) -> None:
    """A crop must be divisible by 2 to the depth of the network, and fit into the padded slice.

    Raises:
        ConfigError: it does not.
    """
    crop, depth, padded = (config.get(name) for name in ("crop_size", "depth", "pad_size"))
    if isinstance(crop, int) and isinstance(depth, int) and crop % 2**depth:
        fault = f"--crop_size is {crop}, not a multiple of {2**depth} for --depth {depth}"
        raise ConfigError(fault, "change --crop_size or --depth")
    if isinstance(crop, int) and isinstance(padded, int) and padded < crop:
        raise ConfigError(f"--pad_size is {padded}, below --crop_size {crop}", "raise it, or lower --crop_size")


def check_type(key: str, value: Any, defaults: list[Any]) -> None:
    """Refuse a value of another type than those of the shipped files; without one that is no reference, any will do.

    Within a section or component a whole number, such as the weight of a loss, may be any number, and a text several.
    """
    value = str(value) if isinstance(value, Path) else value
    built = [default for default in defaults if is_reference(default) or _is_component(default)]
    plain = [default for default in defaults if default not in built and default is not None]
    optional = None in defaults or any(isinstance(default, list | dict) for default in plain)
    # True is the value of an option without one, and pathlib takes an empty text for the working directory
    if is_path(key) and (value is True or value == ""):
        raise ConfigError(f"--{key} has no value", "write the path after it")
    if not plain or value is None and optional or is_reference(value):
        return
    nested = "::" in key
    if nested and _are_texts(value) and any(_are_texts(default) for default in plain):  # keys of a transform
        return
    if not any(_same_type(value, float(default) if nested and type(default) is int else default) for default in plain):
        is_number = isinstance(value, str) and A_NUMBER.fullmatch(value)
        kind, remedy = (text.format(key=key, default=plain[0]) for text in TYPES[type(plain[0])])
        remedy = "write 1.0e-4, not 1e-4, in YAML" if is_number else remedy
        raise ConfigError(f"--{key} is {value!r}, not {kind}", remedy)


def _are_texts(value: Any) -> bool:
    """Whether a value is a text or several, which MONAI's transforms take alike."""
    return isinstance(value, str) or isinstance(value, list) and all(isinstance(part, str) for part in value)


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        if not isinstance(value, list | tuple) or not value:
            return isinstance(value, list | tuple)
        texts = bool(default) and _are_texts(list(default)) and not any(map(is_reference, default))
        numbers = _holds_numbers(default) and _has_number(default)
        return _are_texts(list(value)) if texts else not numbers or _holds_numbers(value)
    return isinstance(value, type(default))


def _has_number(value: Any) -> bool:
    """Whether a list or a list in it has a number; the steps of a run are references alone."""
    return any(map(_has_number, value)) if isinstance(value, list | tuple) else isinstance(value, int | float)


def _holds_numbers(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list and the lists in it hold numbers alone; references and null may stand for some."""
    return bool(value) and all(
        _holds_numbers(part)
        if isinstance(part, list | tuple)
        else part is None or is_reference(part) or (isinstance(part, int | float) and not isinstance(part, bool))
        for part in value
    )


def _is_component(value: Any) -> bool:
    """Whether a value defines a component, whose type is unknown here; servers give ``device`` as a text."""
    return isinstance(value, dict) and "_target_" in value
