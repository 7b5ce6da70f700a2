"""Access to the running configuration, and short names of options.

MONAI gives components no access to the whole configuration and does not expose the files of a command. Only this module
looks them up, on the call stack: ``ConfigParser`` instantiates components, ``run`` of ``monai.bundle`` runs commands.

An option has a short name: ``--series UID`` is ``--reader::series UID`` if only one component of the configuration has
a setting of that name. Programs that read configurations themselves use :func:`read_config`.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

from monai.bundle import ConfigComponent, ConfigExpression, ConfigItem, ConfigParser, ReferenceResolver
from monai.utils import ensure_tuple

from common.errors import ConfigError
from common.path_names import as_data, is_path, is_reference, texts

Settings = dict[str, Any]


def running_config() -> Settings:
    """The merged configuration, with overrides, of the parser that instantiates the caller; empty without a parser."""
    parser = running_parser()
    return {} if parser is None else settings_of(parser)


def settings_of(parser: ConfigParser) -> Settings:
    """The configuration of a parser without MONAI's metadata."""
    return {key: value for key, value in parser.get().items() if key != ConfigParser.meta_key}


def change(values: Mapping[str, Any]) -> None:
    """Change settings of the running configuration, by their id, even those that something refers to already.

    Components are changed in place, since one of them may be waiting for the caller before it is built.
    Without a running configuration, as in a program that instantiates components itself, nothing is changed.
    """
    parser = running_parser()
    if parser is None:
        return
    resolver = parser.ref_resolver
    for place, value in values.items():
        *above, key = place.split("::")
        top: Any = parser.config
        holder = top
        for part in above:
            holder = holder.setdefault(part, {})
        for end in range(1, len(above) + 1):  # what has this part may have been built from the earlier value
            outer = "::".join(above[:end])
            resolver.items.pop(outer, None)
            resolver.remove_resolved_content(outer)
        if isinstance(value, dict) and isinstance(holder.get(key), dict):
            holder[key].clear()
            holder[key].update(value)
        else:
            holder[key] = value
        for known in [known for known in resolver.items if f"{known}::".startswith(f"{place}::")]:
            del resolver.items[known]
            resolver.remove_resolved_content(known)
        _add_items(parser, top[place.split("::")[0]], place.split("::")[0])
    for place, value in values.items():
        for needed in resolver.find_refs_in_config(value, place):
            resolver.get_resolved_content(needed)
        if not isinstance(value, dict):  # what waits for it does not look for it again
            resolver.get_resolved_content(place)


def _add_items(parser: ConfigParser, config: Any, place: str) -> None:
    """Make a setting and its parts known, as reading a configuration does."""
    if isinstance(config, dict | list):
        for _, part, value in parser.ref_resolver.iter_subconfigs(place, config):
            _add_items(parser, value, part)
    kind: Any = ConfigItem
    if ConfigComponent.is_instantiable(config):
        kind = partial(ConfigComponent, locator=parser.locator)
    elif ConfigExpression.is_expression(config):
        kind = partial(ConfigExpression, globals=parser.globals)
    parser.ref_resolver.add_item(kind(config=config, id=place))


def lookup(config: Any, place: str) -> Any:
    """The raw setting with an id such as ``a::b::0``; None where there is none."""
    for part in place.split("::"):
        if isinstance(config, list | tuple) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            config = config.get(part) if isinstance(config, Mapping) else None
    return config


def references(config: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """The ids of the roots and of every setting that they refer to, directly or through others."""
    found: set[str] = set()
    todo = [root for root in roots if lookup(config, root) is not None]
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            others = re.findall(r"[@%](\w+(?:::\w+)*)", texts(lookup(config, name)))
            todo += [other for other in others if other in config or lookup(config, other) is not None]
    return found


def read_config(files: str | Path | Sequence[str | Path], **options: Any) -> ConfigParser:
    """Configuration of some files with options as on the command line; nothing is built yet.

    Args:
        files: later ones overlay earlier ones; the files next to them are those of the bundle.
        **options: settings by their name, ``a::b`` for one of a component, or by a short name; paths are data.

    Raises:
        ConfigError: a short name stands for several settings.
    """
    paths = [Path(path) for path in ensure_tuple(files)]
    parser = ConfigParser()
    parser.read_config([str(path) for path in paths])
    for key, value in options.items():
        parser[key] = as_data(value) if is_path(key) and isinstance(value, str) else value
    shipped = [config for folder in {path.parent for path in paths} for config in configs_in(folder)]
    place_options(parser, top_settings(shipped))
    return parser


def configs_in(folder: Path) -> list[Settings]:
    """Content of every config file of a folder, without the metadata."""
    return list(files_in(folder).values())


def files_in(folder: Path) -> dict[Path, Settings]:
    """The config files of a folder with their content, without the metadata."""
    files = [path for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.json")]) if path.stem != "metadata"]
    return {path: copy.deepcopy(_loaded(path, path.stat().st_mtime_ns)) for path in files}


@lru_cache(maxsize=256)
def _loaded(path: Path, changed: int) -> Settings:
    """Content of a file as of a time; parsing YAML takes longer than all checks, which need it four times."""
    return dict(ConfigParser.load_config_file(path))


def top_settings(configs: Iterable[Settings]) -> set[str]:
    """Names that stand at the top of a config that is complete in one file: these are not short names."""
    return {key for config in whole_configs(configs) for key in config}


def whole_configs(configs: Iterable[Settings]) -> list[Settings]:
    """The configs that are complete in one file; the others are overlays."""
    return [config for config in configs if "bundle_root" in config]


def place_options(parser: ConfigParser, top: Collection[str]) -> None:
    """Let each setting that was given at the top by its short name reach its component.

    Args:
        parser: of the configuration, in which a component takes the setting by reference afterwards.
        top: names that are no short names, see :func:`top_settings`.

    Raises:
        ConfigError: a short name stands for several settings.
    """
    for key, places in _unplaced(parser, top).items():
        if len(places) > 1:
            found = f"{len(places)} settings: {', '.join(f'--{place}' for place, _ in places)}"
            raise ConfigError(f"--{key}", "stands for one setting of this configuration", found, "give one in full")
        _, component = places[0]
        component[key] = f"@{key}"


def require_placed() -> None:
    """Refuse a short name that no component will take, in a configuration that was not read as commands read it.

    Raises:
        ConfigError: names the setting in full.
    """
    parser = running_parser()
    if parser is None or "bundle_root" not in parser:
        return
    shipped = configs_in(Path(parser.get_parsed_content("bundle_root"), "configs"))
    for key, places in _unplaced(parser, top_settings(shipped)).items() if shipped else ():
        rule = "is given in full to a program that builds the configuration itself, such as MONAI's ConfigWorkflow"
        remedy = f"write {places[0][0]}, or read the files with common.running_config.read_config"
        raise ConfigError(key, rule, "the short name of an option", remedy)


def _unplaced(parser: ConfigParser, top: Collection[str]) -> dict[str, list[tuple[str, Settings]]]:
    """Short names at the top that nothing refers to; a name that something refers to is a definition of the user's."""
    config: Any = parser.get()
    known = short_names(config)
    text = texts(config)
    given = [key for key in config if key in known and key not in top]
    return {key: known[key] for key in given if not re.search(rf"[@%]{re.escape(key)}\b", text)}


def short_names(config: Mapping[str, Any]) -> dict[str, list[tuple[str, Settings]]]:
    """The component settings of each short name, with their id and component.

    If some of them are values and others are references, only the values count.
    """
    found: dict[str, list[tuple[str, Settings]]] = {}
    for place, component in _components(config):
        for name in component:
            if not name.startswith("_"):
                found.setdefault(name, []).append((f"{place}::{name}", component))
    for name, places in found.items():
        values = [(place, component) for place, component in places if not is_reference(component[name])]
        found[name] = values or places
    return found


def leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every setting of a component by its id; lists of numbers or texts are one setting."""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = enumerate(value)
    else:
        yield place, value
    for key, part in parts:
        yield from leaves(part, f"{place}::{key}")


def followed(config: Mapping[str, Any], value: Any) -> Any:
    """The value of a setting, of the one that it refers to where it is a reference."""
    named = lookup(config, value[1:]) if is_reference(value) else None
    return value if named is None else followed(config, named)


def as_json(value: Any) -> Any:
    """The value as it is after writing and reading JSON, so that tuples equal lists."""
    return json.loads(json.dumps(value, default=str))


def running_parser() -> ConfigParser | None:
    """The outermost ``ConfigParser`` on the call stack; None without one."""
    found = None
    for frame in _frames():
        owner = frame.f_locals.get("self")
        found = owner if isinstance(owner, ConfigParser) else found
    return found


def config_files() -> tuple[str, ...]:
    """The config files of the running command; empty without a command."""
    named, stored = _command()
    return ensure_tuple(named.get("config_file") or stored.get("config_file") or ())


def running_id() -> str:
    """The id that the running command runs; empty without a command."""
    named, stored = _command()
    return str(named.get("run_id") or stored.get("run_id") or ("run" if named else ""))


def given_options() -> Settings:
    """The options of the running command, as they were given, by their id; empty without a command."""
    named, stored = _command()
    given = {**stored, **named.get("override", {})}
    return {ReferenceResolver.normalize_id(name): value for name, value in given.items()}


def _command() -> tuple[Settings, Settings]:
    """The arguments of the running ``monai.bundle.run``, and those of its ``args_file``; empty without a command."""
    for frame in _frames():
        if frame.f_code.co_name == "run" and "config_file" in frame.f_locals:
            return dict(frame.f_locals), ConfigParser.load_config_files(frame.f_locals.get("args_file") or {})
    return {}, {}


def _frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _components(config: Any, place: str = "") -> Iterator[tuple[str, Settings]]:
    """Every component with its id, including nested ones."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield place, config
        for key, value in config.items():
            if key != ConfigParser.meta_key:
                yield from _components(value, f"{place}::{key}" if place else key)
    elif isinstance(config, list):
        for number, value in enumerate(config):
            yield from _components(value, f"{place}::{number}")
