"""Settings that are components in the shipped files: what may stand in their place."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pydoc import ErrorDuringImport, locate
from typing import Any

from monai.bundle import ComponentLocator, ConfigComponent, ReferenceResolver
from torch import nn

from ..errors import ConfigError
from ..path_names import is_path, is_reference

REFERENCE = re.compile(r"[@%](.+)")
ON_DEVICE = re.compile(r"\$@(\w+)\.to\(@device\)$")
"""How the configs move a component to the device."""
GIVEN_AS_TEXTS = ("device", "bundle_root")
"""Components that commands and servers may replace by a text."""


class NotLocatedError(ConfigError):
    """A component that cannot be imported: its settings may be right, and a path be missing."""


def require_component(place: str, value: Any, known: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a plain value where the shipped files define a component; paths and devices may be given as texts.

    Numbers may stand for what a function computes, such as a range.

    Args:
        place: id of the setting.
        value: of it; references and null are let through.
        known: values that settings have in shipped files, by their id.

    Raises:
        ConfigError: it is a number, a text, a list, or a section without a ``_target_``.
    """
    shipped = list(_defaults(place, known))
    built = shipped and all(isinstance(each, Mapping) and "_target_" in each for each in shipped)
    named = place in GIVEN_AS_TEXTS
    allowed = isinstance(value, str) and (named or is_path(place) or is_reference(value))
    if built and not named and _are_numbers(value):
        allowed = all(_is_function(each["_target_"]) for each in shipped)
    if built and not allowed and isinstance(value, bool | int | float | str | list | tuple | Mapping):
        remedy = f"pass --{place}::NAME VALUE for each setting, or a section with _target_"
        raise ConfigError(f"--{place} is {str(value)[:60].strip() or 'an empty text'}, not a section", remedy)


def require_parts(place: str, value: Any, known: Mapping[str, Sequence[Any]]) -> None:
    """Refuse anything but a list in the place of a list of components, and an empty list of handlers.

    Args:
        place: id of the setting.
        value: of it, no section; references are let through, and null except for handlers.
        known: values that settings have in shipped files, by their id.

    Raises:
        ConfigError: it is no list, or there are no handlers.
    """
    shipped = list(_defaults(place, known))
    lists = all(isinstance(each, list) and any(map(_is_part, each)) for each in shipped)
    if not shipped or not lists or is_reference(value):
        return
    if place.endswith("handlers") and value in (None, []):
        fault = f"--{place} has no handlers, which load the weights and record the run"
        raise ConfigError(fault, "omit it, or set _disabled_: true in single ones")
    plain = isinstance(value, list | tuple) and any(
        isinstance(part, list | tuple | bool | int | float) for part in value
    )
    if value is not None and (plain or not isinstance(value, list | tuple)):
        remedy = f"pass --{place}::0::NAME VALUE for each part, or a list"
        raise ConfigError(f"--{place} is {repr(value)[:60]}, not a list of sections", remedy)


def require_loader(place: str, handlers: Sequence[Any], known: Mapping[str, Sequence[Any]]) -> None:
    """Refuse handlers without the one that loads the weights, where the shipped ones have it; a random network is none.

    Raises:
        ConfigError: it is missing or disabled.
    """
    if not place.endswith("handlers"):
        return
    shipped = [part for each in _defaults(place, known) if isinstance(each, list) for part in each]
    own = any(is_reference(part) and part not in shipped for part in handlers)  # it may be one
    if any(map(_loads, shipped)) and not own and not any(map(_loads, handlers)):
        fault = f"--{place} has no handler that loads the weights, such as common.runs.WeightsLoader"
        raise ConfigError(fault, "keep the bundle's, and do not disable it")


def require_target(
    place: str, section: Mapping[str, Any], known: Mapping[str, Sequence[Any]], locator: ComponentLocator
) -> None:
    """Refuse a section that names nothing to build, or in the place of a network what is none.

    Raises:
        ConfigError: ``_target_`` is no text, or missing, or cannot be imported, or is another class in the place of a
            network.
    """
    if "_target_" not in section:
        require_component(place, section, known)
        return
    target = section["_target_"]
    if not isinstance(target, str):
        raise ConfigError(f"--{place}::_target_ is {target!r}, no class or function", "write its dotted name")
    shipped = [each["_target_"] for each in known.get(place, ()) if isinstance(each, Mapping) and "_target_" in each]
    if target not in shipped and not is_reference(target):
        require_located(place, section, locator)
    other = target not in shipped and inspect.isclass(locate(target)) and not _is_network(target)
    if other and any(map(_is_network, shipped)):
        raise ConfigError(f"--{place}::_target_ is {target}, not a torch.nn.Module", "name a class of networks")


def require_located(place: str, section: Mapping[str, Any], locator: ComponentLocator) -> None:
    """Refuse a component whose class or function cannot be imported.

    Args:
        place: id of the component.
        section: it, with a text as ``_target_``.
        locator: knows the modules of MONAI's classes.

    Raises:
        NotLocatedError: naming what is missing, a module, a class or a package that the module imports.
    """
    component = ConfigComponent(dict(section), place, locator)
    name, where = component.resolve_module_name(), f"(from --{place}::_target_)"
    holder = ""
    for path in [] if component.is_disabled() else accumulate(name.split("."), "{}.{}".format):
        try:
            found = locate(path)
        except ErrorDuringImport as error:
            raise NotLocatedError(_not_imported(path, error, where)) from error
        if found is None:
            raise NotLocatedError(_not_located(name, holder, path.rpartition(".")[2], where))
        holder = path


def _not_imported(module: str, error: ErrorDuringImport, where: str) -> str:
    if isinstance(error.value, ModuleNotFoundError):
        missing = f"no module {error.value.name}, which {module} imports {where}"
        return f"{missing}: put its folder on PYTHONPATH, or pip install it"
    return f"{module} cannot be imported {where}: {type(error.value).__name__}: {error.value}; fix the module"


def _not_located(name: str, holder: str, part: str, where: str) -> str:
    """The message of a dotted name whose ``part`` is not in ``holder``, which is empty for the first part."""
    if holder:
        close = difflib.get_close_matches(part, dir(locate(holder)), n=1)
        return f"{holder} has no {part} {where}: " + (f"did you mean {close[0]}?" if close else "check the name")
    if "." in name:
        return f"{name} cannot be located {where}: put its folder on PYTHONPATH"
    return f"{name} cannot be located {where}: MONAI has none of that name; write its module before it, MODULE.{name}"


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(type(part) in (int, float) for part in value)


def _is_part(value: Any) -> bool:
    return is_reference(value) or isinstance(value, Mapping) and "_target_" in value


def _loads(part: Any) -> bool:
    named = isinstance(part, Mapping) and str(part.get("_target_")).endswith("Loader")
    return named and not ConfigComponent(dict(part)).is_disabled()


def _is_function(target: Any) -> bool:
    return isinstance(target, str) and inspect.isfunction(locate(target))


def _is_network(target: str) -> bool:
    found = locate(target)
    return inspect.isclass(found) and issubclass(found, nn.Module)


def _defaults(place: str, known: Mapping[str, Sequence[Any]], seen: tuple[str, ...] = ()) -> Iterator[Any]:
    """The shipped values of a setting, of others that it refers to where they are references; no expressions."""
    for value in known.get(place, ()) if place not in seen else ():
        if not is_reference(value):
            yield value
        elif other := ON_DEVICE.match(value) or REFERENCE.match(value):
            yield from _defaults(ReferenceResolver.normalize_id(other[1]), known, (*seen, place))
