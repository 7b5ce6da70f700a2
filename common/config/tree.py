"""Checks of settings at any depth: names that a component's signature or a shipped file knows, types, ranges."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pydoc import locate
from typing import Any

from monai.bundle import ComponentLocator, ConfigComponent, ReferenceResolver
from monai.utils import ensure_tuple

from ..case_keys import ITEM_KEYS
from ..errors import ConfigError, choose
from ..path_names import is_reference, texts
from ..raw_settings import Settings, components, lookup, references
from ..weights.info import OUTPUT
from .checks import check_type
from .components import require_component, require_loader, require_parts, require_target
from .ranges import check_range

logger = logging.getLogger(__name__)
Known = Mapping[str, Sequence[Any]]
"""Values that a setting has in shipped files, by its id, such as ``train::trainer::max_epochs``."""
RESERVED = {"_target_", "_requires_", "_mode_", "_disabled_", "_desc_"}
"""Keys of a component that are MONAI's."""
ANY = "**"
KEYS = ("keys", "orig_keys")
"""Arguments by which dictionary transforms of MONAI name what they take."""


def check_tree(config: Settings, shipped: Sequence[Settings], given: Mapping[str, Any]) -> None:
    """Check every setting of a configuration, at any depth.

    Args:
        config: merged and raw.
        shipped: the config files of the bundle.
        given: options of the command by their id. A name that is new in a section is a definition in a file, and a
            mistake on the command line.

    Raises:
        ConfigError: for the first name that neither the component's signature nor a shipped file knows, the first value
            of another type than the shipped ones, or the first number out of range.
    """
    known: dict[str, list[Any]] = {}
    for file in shipped:
        for place, value in file.items():
            for part, inner in _all_parts(ReferenceResolver.normalize_id(place.lstrip("+")), value):
                known.setdefault(part, []).append(inner)
    tree = _Tree(known, given, texts(config), ComponentLocator())
    for place, value in config.items():
        tree.check(place, value)


def check_references(config: Settings, runs: str) -> None:
    """Check that every reference exists which a command can come to.

    Args:
        config: merged and raw.
        runs: the id that the command runs.

    Raises:
        ConfigError: for the first reference to nothing.
    """
    parts = dict(part for place, value in config.items() for part in _all_parts(place, value))
    for root in references(config, [runs, OUTPUT]):
        for place, value in _all_parts(root, lookup(config, root)):
            for name in ReferenceResolver.match_refs_pattern(value) if isinstance(value, str) else ():
                if name not in parts:
                    close = difflib.get_close_matches(name, parts, n=1)
                    remedy = f"did you mean @{close[0]}?" if close else "define it in a config file"
                    raise ConfigError(f"--{place} refers to @{name}, which does not exist", remedy)


class _Tree:
    """The checks of one configuration; ``text`` holds all its texts."""

    def __init__(self, known: Known, given: Mapping[str, Any], text: str, locator: ComponentLocator) -> None:
        self.known = known
        self.given = given
        self.text = text
        self.locator = locator
        self.names: dict[str, list[str]] = {}
        for place in known:
            section, _, name = place.rpartition("::")
            self.names.setdefault(section, []).append(name)

    def check(self, place: str, value: Any, is_shipped: bool = True) -> None:
        """Check a setting and all below it; ``is_shipped`` where the shipped files have the same component there."""
        if is_shipped and isinstance(value, list):
            require_loader(place, value, self.known)
        if isinstance(value, Mapping):
            if is_shipped and "::" in place and "_target_" not in value:
                self._require_section(place, value)
            is_shipped = self._check_names(place, value)
        elif not isinstance(value, list) or not any(isinstance(part, Mapping) for part in value):
            self._check_value(place, value, is_shipped)
            return
        for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            if name not in RESERVED:
                self.check(f"{place}::{name}", part, is_shipped)

    def _require_section(self, place: str, value: Mapping[str, Any]) -> None:
        """Refuse a section where shipped files have nothing but values of other types."""
        shipped = self.known.get(place, ())
        if not any(isinstance(each, Mapping) for each in shipped):
            check_type(place, value, list(shipped))

    def _check_names(self, place: str, section: Mapping[str, Any]) -> bool:
        """Check the names of a component or section; whether its shipped values are those of the same component."""
        require_target(place, section, self.known, self.locator)
        target = section.get("_target_")
        if f"{place}::_disabled_" in self.given and ConfigComponent(dict(section)).is_disabled():
            logger.warning(f"--{place}::_disabled_ skips {target}: results may look plausible and be wrong")
        shipped = [value for value in self.known.get(place, ()) if isinstance(value, Mapping)]
        same = [value for value in shipped if value.get("_target_") in (target, None)]
        names = [name for value in same for name in value]
        if len(same) == len(shipped):
            names += self.names.get(place, [])  # those that overlays give one by one, too
        strange = [name for name in section if name not in RESERVED and name not in names]
        if target is None:
            strange = [name for name in strange if self._is_mistake(f"{place}::{name}", section[name])]
        elif strange:
            names += (arguments := self._arguments(place, section))
            strange = [] if ANY in arguments else [name for name in strange if name not in arguments]
        if strange:
            nearest = difflib.get_close_matches(strange[0], known := sorted({*names} - RESERVED), n=1)
            kind = f"a setting of {place}" if target is None else f"an argument of {target}"
            remedy = f"did you mean --{place}::{nearest[0]}?" if nearest else choose(known)
            for inner, part in components(dict(section), place):
                if inner != place and strange[0] in self._arguments(inner, part):
                    remedy = f"did you mean --{inner}::{strange[0]}?"
            fault = f"--{place}::{strange[0]} is not {kind} (value {str(section[strange[0]])[:60]})"
            raise ConfigError(fault, remedy)
        return bool(same)

    def _arguments(self, place: str, section: Mapping[str, Any]) -> list[str]:
        """Names of the arguments of a component; ``ANY`` among them where it takes any, or cannot be looked at."""
        target: Any = ConfigComponent(section, place, self.locator).resolve_module_name()
        target = locate(target) if isinstance(target, str) else target
        try:
            parameters = inspect.signature(target).parameters
        except (TypeError, ValueError):
            return [ANY]
        anything = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        return [*parameters, *([ANY] if anything else [])]

    def _is_mistake(self, place: str, value: Any) -> bool:
        """Whether a new name was typed as an option, and nothing refers to it; a loss with a function is a new one."""
        is_loss = place.startswith("losses::") and isinstance(value, Mapping) and "function" in value
        return place in self.given and not is_loss and not re.search(rf"[@%]{re.escape(place)}\b", self.text)

    def _check_value(self, place: str, value: Any, is_shipped: bool) -> None:
        if is_shipped:
            require_component(place, value, self.known)
            require_parts(place, value, self.known)
        if is_shipped and "::" in place:
            check_type(place, value, list(self.known.get(place, ())))
        if place.rpartition("::")[2] in KEYS:
            self._check_keys(place, value)
        check_range(place, value)

    def _check_keys(self, place: str, value: Any) -> None:
        """Refuse an option by which a transform takes what no case has; a config file may define keys of its own."""
        if not any(name == place or name.startswith(f"{place}::") for name in self.given):
            return
        shipped = [each for name, values in self.known.items() if name.rpartition("::")[2] in KEYS for each in values]
        keys = sorted({"pred", *ITEM_KEYS, *(key for each in shipped for key in ensure_tuple(each))})
        for key in ensure_tuple(value):
            if key not in keys and not is_reference(key):
                fault = f"--{place} names {key!r}, not a key of a case or its prediction"
                raise ConfigError(fault, choose(keys))


def _all_parts(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A setting and all below it, by their ids."""
    yield place, value
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _all_parts(f"{place}::{name}", part)
