"""Checks of a configuration: one pass over its settings, names, components, types and ranges, then what fits together.

The rules are the shipped files of the bundle, whose values say which settings there are and of what type, and
:data:`common.config.ranges.RANGES`.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any

from monai.bundle import ComponentLocator, ConfigComponent, ReferenceResolver
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS
from monai.utils import ensure_tuple
from torch import nn

from .. import devices
from ..case_keys import ITEM_KEYS
from ..errors import ConfigError, choose
from ..path_names import is_reference, texts
from ..raw_settings import Settings, components, is_inside, lookup, parts, references
from ..units import HU, HU_MAXIMUM, HU_MINIMUM
from ..weights.info import OUTPUT, WEIGHTS
from .files import BundleFiles, top
from .ranges import check_range
from .value_types import check_built, check_type, is_component, located

logger = logging.getLogger(__name__)
WINDOWS = ("source_window", "target_window", "source_percentiles")
TRACKING: Any = DEFAULT_EXP_MGMT_SETTINGS["mlflow"]["configs"]
"""Settings that MONAI adds for ``--tracking mlflow``."""
LISTED = "see docs/reference/settings.md or the output of synthesize config BUNDLE"
"""Where all settings of a bundle are found."""
FOR_PROGRAMS = "initialize"
"""Id that MONAI's workflows build first, in which a program names ``%prepare``."""
RESERVED = {"_target_", "_requires_", "_mode_", "_disabled_", "_desc_"}
"""Keys of a component that are MONAI's."""
NEARLY = 0.75
"""Likeness (``difflib``) from which a new name in a section of a file is a slip: of four letters two are exchanged."""
ANY = "**"
KEYS = ("keys", "orig_keys")
"""Arguments by which dictionary transforms of MONAI name what they take."""


class NotLocatedError(ConfigError):
    """A component that cannot be imported: its settings may be right, and a path be missing."""


def check(config: Settings, files: BundleFiles, options: Collection[str] = ()) -> None:
    """Check a configuration against the shipped files of its bundle.

    Args:
        config: merged and raw.
        files: of the bundle.
        options: ids of those of the command. A name that is new in a section is a definition in a file, if it is not
            nearly a known one, and a mistake on the command line.

    Raises:
        ConfigError: for the first setting that is unknown, of another type than the shipped ones, out of range, or
            does not fit others.
    """
    require_known(config, config, files)
    check_tree(config, files, options)
    if not config.get("pretrained"):  # the depth is that of the weights then, which are not read yet
        check_sizes(config)
    for key in WINDOWS:
        _check_window(key, config.get(key))
    _check_unit(config)
    if isinstance(device := config.get("device"), str) and not is_reference(device):
        devices.require(device)


def require_known(config: Settings, names: Collection[str], files: BundleFiles) -> None:
    """Refuse a name that is no setting of the bundle and that nothing of the configuration refers to.

    Raises:
        ConfigError: for the first one, with the nearest name, or where a part of a component has it, with its id.
    """
    text = texts(config)
    for key in (name.split("::")[0] for name in names):
        if key in files.tops or key in TRACKING or key == FOR_PROGRAMS or _names(text, key):
            continue
        sections = [place for place in files.known if f"{place}::{key}" in files.known and top(place) in config]
        inside = [place for place in sections if any(map(is_component, files.known[place]))]
        nearest = [f"{inside[0]}::{key}"] if inside else difflib.get_close_matches(key, files.tops, n=1)
        remedy = f"did you mean --{nearest[0]}?" if nearest else LISTED
        if key == "overlay":  # of synthesize, passed to MONAI's command
            remedy = "list its file in --config_file"
        raise ConfigError(f"--{key} is not a setting of this bundle (value {config[key]!r})", remedy)


def check_tree(config: Settings, files: BundleFiles, options: Collection[str] = ()) -> None:
    """Check every setting of a configuration, at any depth, by itself; arguments and errors are those of :func:`check`.

    Raises:
        NotLocatedError: for a component that cannot be imported.
    """
    tree = _Tree(config, files, options)
    for place, value in config.items():
        tree.check(place, value)


def check_references(config: Settings, run_id: str, files: BundleFiles) -> None:
    """Check that every reference exists which a command that runs ``run_id`` can come to.

    Args:
        config: of the command, merged.
        run_id: of the command.
        files: of the bundle; an overlay may stand on another.

    Raises:
        ConfigError: for the first reference to nothing.
    """
    known = dict(parts(config))
    for root in references(config, [run_id, OUTPUT]):
        for place, value in parts(lookup(config, root), root):
            for name in ReferenceResolver.match_refs_pattern(value) if isinstance(value, str) else ():
                if name not in known:
                    close = difflib.get_close_matches(name, known, n=1)
                    remedy = f"did you mean @{close[0]}?" if close else "define it in a config file"
                    if below := [file for file, content in files.content.items() if top(name) in content]:
                        remedy = f"{below[0]} defines it: name that config before the one that refers to it"
                    raise ConfigError(f"--{place} refers to @{name}, which does not exist", remedy)


class _Tree:
    """The pass over one configuration."""

    def __init__(self, config: Settings, files: BundleFiles, options: Collection[str]) -> None:
        self.files = files
        self.known = files.known
        self.options = options
        self.text = texts(config)
        self.locator = ComponentLocator()

    def check(self, place: str, value: Any, is_shipped: bool = True) -> None:
        """Check a setting and all below it; ``is_shipped`` where the shipped files have the same component there."""
        shipped = list(self.files.defaults(place)) if is_shipped else []
        if isinstance(value, Mapping):
            if is_shipped and ("_target_" not in value or "::" not in place):
                check_type(place, value, self.known.get(place, ()))
            is_shipped = self._check_section(place, value, shipped)
        else:
            if is_shipped:
                check_built(place, value, shipped)
                check_type(place, value, self.known.get(place, ()))
            if not isinstance(value, list) or not any(isinstance(part, Mapping) for part in value):
                if place.rpartition("::")[2] in KEYS:
                    self._check_keys(place, value)
                check_range(place, value)
                return
        for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            if name not in RESERVED:
                self.check(f"{place}::{name}", part, is_shipped)

    def _check_section(self, place: str, section: Mapping[str, Any], shipped: Sequence[Any]) -> bool:
        """Check the names of a component or section; whether its shipped values are those of the same component."""
        own = [value for value in self.known.get(place, ()) if isinstance(value, Mapping)]
        if "_target_" in section:
            self._check_target(place, section, [value["_target_"] for value in own if "_target_" in value])
        else:
            check_built(place, section, shipped)
        target = section.get("_target_")
        if f"{place}::_disabled_" in self.options and ConfigComponent(dict(section)).is_disabled():
            logger.warning(f"--{place}::_disabled_ skips {target}: results may look plausible and be wrong")
        same = [value for value in own if value.get("_target_") in (target, None)]
        names = {name for value in same for name in value}
        if len(same) == len(own):  # those that overlays give one by one, too
            names |= self.files.inside.get(place, set())
        strange = [name for name in section if name not in RESERVED and name not in names]
        if target is None:
            strange = [name for name in strange if self._is_mistake(f"{place}::{name}", section[name], names)]
        elif strange:
            names |= set(arguments := self._arguments(place, section))
            strange = [] if ANY in arguments else [name for name in strange if name not in arguments]
        if strange:
            self._refuse_name(place, section, strange[0], sorted(names - RESERVED))
        return bool(same)

    def _refuse_name(self, place: str, section: Mapping[str, Any], name: str, known: Sequence[str]) -> None:
        target = section.get("_target_")
        kind = f"a setting of {place}" if target is None else f"an argument of {target}"
        inside = [where for where, part in components(dict(section), place) if name in self._arguments(where, part)]
        nearest = [f"{where}::{name}" for where in inside if where != place][-1:]
        nearest = nearest or [f"{place}::{close}" for close in difflib.get_close_matches(name, known, n=1)]
        fault = f"--{place}::{name} is not {kind} (value {str(section[name])[:60]})"
        raise ConfigError(fault, f"did you mean --{nearest[0]}?" if nearest else choose(known))

    def _check_target(self, place: str, section: Mapping[str, Any], shipped: Sequence[Any]) -> None:
        """Refuse what cannot be imported, or in the place of a network what is none."""
        target = section["_target_"]
        if not isinstance(target, str):
            raise ConfigError(f"--{place}::_target_ is {target!r}, no class or function", "write its dotted name")
        if target in shipped:
            return
        if not is_reference(target):
            require_located(place, section, self.locator)
        if inspect.isclass(locate(target)) and not _is_network(target) and any(map(_is_network, shipped)):
            raise ConfigError(f"--{place}::_target_ is {target}, not a torch.nn.Module", "name a class of networks")

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

    def _is_mistake(self, place: str, value: Any, known: Collection[str]) -> bool:
        """Whether nothing refers to a new name, which was typed as an option or is nearly a known one; a loss with a
        function is a new one."""
        is_loss = place.startswith("losses::") and isinstance(value, Mapping) and "function" in value
        is_slip = place in self.options or difflib.get_close_matches(place.rpartition("::")[2], known, 1, NEARLY)
        return bool(is_slip) and not is_loss and not _names(self.text, place)

    def _check_keys(self, place: str, value: Any) -> None:
        """Refuse an option by which a transform takes what no case has; a config file may define keys of its own."""
        if not any(is_inside(name, [place]) for name in self.options):
            return
        shipped = [each for name, values in self.known.items() if name.rpartition("::")[2] in KEYS for each in values]
        keys = sorted({"pred", *ITEM_KEYS, *(key for each in shipped for key in ensure_tuple(each))})
        for key in ensure_tuple(value):
            if key not in keys and not is_reference(key):
                fault = f"--{place} names {key!r}, not a key of a case or its prediction"
                raise ConfigError(fault, choose(keys))


def require_located(place: str, section: Mapping[str, Any], locator: ComponentLocator) -> None:
    """Refuse a component whose class or function cannot be imported; ``place`` is its id.

    Raises:
        NotLocatedError: naming what is missing, a module, a class or a package that the module imports.
    """
    component = ConfigComponent(dict(section), place, locator)
    name, where, holder = component.resolve_module_name(), f"(from --{place}::_target_)", None
    for path in [] if component.is_disabled() else accumulate(name.split("."), "{}.{}".format):
        try:
            found = locate(path)
        except ErrorDuringImport as error:
            kind, cause = type(error.value).__name__, error.value
            message = f"{path} cannot be imported {where}: {kind}: {cause}; fix the module"
            if isinstance(cause, ModuleNotFoundError):
                missing = f"no module {cause.name}, which {path} imports {where}"
                message = f"{missing}: put its folder on PYTHONPATH, or pip install it"
            raise NotLocatedError(message) from error
        if found is None:
            fault, remedy = f"{name} cannot be located {where}", "put its folder on PYTHONPATH"
            if holder is not None:
                part = path.rpartition(".")[2]
                close = difflib.get_close_matches(part, dir(holder), n=1)
                fault = f"{path.rpartition('.')[0]} has no {part} {where}"
                remedy = f"did you mean {close[0]}?" if close else "check the name"
            elif "." not in name:
                remedy = f"MONAI has none of that name; write its module before it, MODULE.{name}"
            raise NotLocatedError(fault, remedy)
        holder = found


def _is_network(target: Any) -> bool:
    found = located(target)
    return inspect.isclass(found) and issubclass(found, nn.Module)


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
    if not isinstance(window, list | tuple) or not all(isinstance(end, int | float) for end in window):
        return
    if not isinstance(output, Mapping) or output.get("unit") != HU:
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


def refuse_idle(
    config: Settings,
    options: Collection[str],
    known: Collection[str],
    files: BundleFiles,
    before: Settings | None = None,
) -> None:
    """Refuse an option without an effect: nothing has it and nothing refers to it, or the weights took its place.

    Args:
        config: merged and raw.
        options: ids of those of the command.
        known: settings of the command's files, and of the weights in use.
        files: of the bundle; another one may have the option.
        before: the configuration without the settings of the weights, where there are such.

    Raises:
        ConfigError: naming the option, and the file or overlay that has it.
    """
    text, earlier = texts(config), texts(before)
    for key in options:
        name = top(key)
        is_lost = _names(earlier, name) and not _names(text, name)
        if is_lost or before is not None and "::" in key and lookup(config, key) != lookup(before, key):
            fault = f"--{key} has no effect on the network of the weights in use"
            raise ConfigError(fault, "omit it, or name weights that it fits by --weights or --output_dir")
        if name in known or name in (*TRACKING, FOR_PROGRAMS) or name not in config or _names(text, name):
            continue
        having = {file: content for file, content in files.content.items() if name in map(top, content)}
        if others := [file for file, content in having.items() if "run" in content]:
            fault = f"--{key} has no effect here, it is a setting of {' and '.join(others)}"
            start = "to start from it pass --pretrained true --shipped_weights FILE"
            raise ConfigError(fault, start if name == WEIGHTS and "pretrained" in config else "omit it")
        overlays = [Path(file).stem for file in having]
        fault = f"--{key} needs --overlay {' or '.join(overlays)}"
        raise ConfigError(fault, f"pass it, or add {overlays[0]}.yaml to --config_file")


def _names(text: str, name: str) -> bool:
    """Whether raw settings refer to a setting."""
    return re.search(rf"[@%]{re.escape(name)}\b", text) is not None
