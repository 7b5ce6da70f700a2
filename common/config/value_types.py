"""Types of the values of a configuration: those of the values in the shipped files of its bundle."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

from monai.bundle import ConfigComponent

from ..errors import ConfigError
from ..path_names import is_path, is_reference
from ..raw_settings import parts

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
GIVEN_AS_TEXTS = ("device", "bundle_root")
"""Components that commands and servers may replace by a text."""


def check_built(place: str, value: Any, shipped: Sequence[Any]) -> None:
    """Refuse a plain value in the place of a component, and what is no list in the place of a list of them.

    Paths and devices may be texts, and numbers stand for what a function computes; references and null are let through.

    Raises:
        ConfigError: for such a value.
    """
    is_list = isinstance(value, list | tuple)
    if is_reference(value) or not shipped:
        return
    if all(map(is_component, shipped)):
        is_allowed = isinstance(value, str) and (place in GIVEN_AS_TEXTS or is_path(place))
        if is_list and value and all(type(each) in (int, float) for each in value) and place not in GIVEN_AS_TEXTS:
            is_allowed = all(inspect.isfunction(located(each["_target_"])) for each in shipped)
        if not is_allowed and isinstance(value, bool | int | float | str | list | tuple | Mapping):
            remedy = f"pass --{place}::NAME VALUE for each setting, or a section with _target_"
            raise ConfigError(f"--{place} is {str(value)[:60].strip() or 'an empty text'}, not a section", remedy)
    if not all(isinstance(each, list) and any(map(_is_part, each)) for each in shipped):
        return
    if place.endswith("handlers"):
        known = [part for each in shipped for part in each]
        own = is_list and any(is_reference(part) and part not in known for part in value)  # it may be one that loads
        if is_list and any(map(_loads, known)) and not own and not any(map(_loads, value)):
            fault = f"--{place} has no handler that loads the weights, such as common.runs.WeightsLoader"
            raise ConfigError(fault, "keep the bundle's, and do not disable it")
        if value in (None, []):
            fault = f"--{place} has no handlers, which load the weights and record the run"
            raise ConfigError(fault, "omit it, or set _disabled_: true in single ones")
    plain = is_list and any(isinstance(part, list | tuple | bool | int | float) for part in value)
    if value is not None and (plain or not is_list):
        remedy = f"pass --{place}::0::NAME VALUE for each part, or a list"
        raise ConfigError(f"--{place} is {repr(value)[:60]}, not a list of sections", remedy)


def check_type(place: str, value: Any, shipped: Sequence[Any]) -> None:
    """Refuse a value of another type than those of the shipped files; without one that is no reference, any will do.

    Within a section or component a whole number, such as the weight of a loss, may be any number, and a text several.

    Raises:
        ConfigError: for another type.
    """
    value = str(value) if isinstance(value, Path) else value
    plain = [each for each in shipped if each is not None and not is_reference(each) and not is_component(each)]
    optional = None in shipped or any(isinstance(each, list | dict) for each in plain)
    # True is the value of an option without one, and pathlib takes an empty text for the working directory
    if is_path(place) and (value is True or value == ""):
        raise ConfigError(f"--{place} has no value", "write the path after it")
    if not plain or value is None and optional or is_reference(value):
        return
    nested = "::" in place
    if nested and isinstance(value, bool) and "auto" in plain:  # such as acceleration::channels_last
        return
    if nested and _are_texts(value) and any(map(_are_texts, plain)):  # keys of a transform
        return
    if not any(_same_type(value, float(each) if nested and type(each) is int else each) for each in plain):
        kind, remedy = (text.format(key=place, default=plain[0]) for text in TYPES[type(plain[0])])
        is_number = isinstance(value, str) and A_NUMBER.fullmatch(value)
        remedy = "write 1.0e-4, not 1e-4, in YAML" if is_number else remedy
        raise ConfigError(f"--{place} is {value!r}, not {kind}", remedy)


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
        are_texts = bool(default) and _are_texts(list(default)) and not any(map(is_reference, default))
        numbers = _holds_numbers(default) and any(isinstance(part, int | float) for _, part in parts(list(default)))
        return _are_texts(list(value)) if are_texts else not numbers or _holds_numbers(value)
    return isinstance(value, type(default))


def _holds_numbers(value: Sequence[Any]) -> bool:
    """Whether a list and the lists in it hold numbers alone; references and null may stand for some."""
    return bool(value) and all(
        _holds_numbers(part)
        if isinstance(part, list | tuple)
        else part is None or is_reference(part) or (isinstance(part, int | float) and not isinstance(part, bool))
        for part in value
    )


def is_component(value: Any) -> bool:
    """Whether a value is a section with ``_target_``."""
    return isinstance(value, Mapping) and "_target_" in value


def _is_part(value: Any) -> bool:
    return is_reference(value) or is_component(value)


def _loads(part: Any) -> bool:
    named = is_component(part) and str(part["_target_"]).endswith("Loader")
    return named and not ConfigComponent(dict(part)).is_disabled()


def located(target: Any) -> Any:
    """The class or function of a dotted name; None for what is no text."""
    return locate(target) if isinstance(target, str) else None
