"""The config files of a bundle, each read once a run, and the settings that they have."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from ..errors import ConfigError
from ..path_names import is_reference
from ..raw_settings import Settings, copied, parts

INSTALLED = __package__.startswith("medical_image_synthesis.")
"""Whether this is the package of the wheel, not that of a clone or of one bundle's release."""
REFERENCE = re.compile(r"\$@(\w+)\.to\(@device\)$|[@%](.+)")
"""A setting that is another one, perhaps moved to the device."""
TWICE = "Duplicate key"
"""Beginning of MONAI's warning, or error, of a file with a setting twice."""


class BundleFiles:
    """The config files of a bundle.

    Args:
        content: raw settings of each file, by its name.

    Attributes:
        known: values that a setting has in the files, by its id, such as ``train::trainer::max_epochs``.
        tops: names of the settings at the top.
        inside: names of the settings in a section or component, by its id.
        whole: the files that are complete; the others are overlays.
    """

    def __init__(self, content: Mapping[str, Settings]) -> None:
        self.content = content
        self.known: dict[str, list[Any]] = {}
        for file in content.values():
            for key, value in file.items():
                for place, part in parts(value, ReferenceResolver.normalize_id(key.lstrip("+"))):
                    self.known.setdefault(place, []).append(part)
        self.tops = {top(place) for place in self.known}
        self.inside: dict[str, set[str]] = {}
        for section, _, name in (place.rpartition("::") for place in self.known):
            self.inside.setdefault(section, set()).add(name)
        self.whole = [file for file in content.values() if "bundle_root" in file]

    def defaults(self, place: str, seen: tuple[str, ...] = ()) -> Iterator[Any]:
        """The values of a setting, of others that it refers to where they are references; no expressions."""
        for value in self.known.get(place, ()) if place not in seen else ():
            if not is_reference(value):
                yield value
            elif other := REFERENCE.match(value):
                yield from self.defaults(ReferenceResolver.normalize_id(other[1] or other[2]), (*seen, place))

    def is_text(self, place: str) -> bool:
        """Whether a setting is a text in every file that has it."""
        values = [value for value in self.defaults(place) if value is not None]
        return bool(values) and all(isinstance(value, str) for value in values)


def files_of(folder: str | Path, others: Iterable[str | Path] = ()) -> BundleFiles:
    """The config files of a folder without the metadata, and others."""
    paths = [path for path in sorted(Path(folder).iterdir()) if path.suffix in (".yaml", ".json")]
    own = [path for path in paths if path.stem != "metadata"]
    return BundleFiles({Path(path).name: read_file(path) for path in [*own, *others]})


def read_file(path: str | Path) -> Settings:
    """The content of a config file, which is parsed once as long as it stays as it is.

    Raises:
        ConfigError: a setting stands in it twice, of which MONAI only warns and uses the last one.
    """
    path = Path(path).resolve()
    return dict(copied(_parsed(path, path.stat().st_mtime_ns)))


@lru_cache(maxsize=256)
def _parsed(path: Path, changed: int) -> Settings:
    """The content of a file as of a time: parsing YAML takes longer than all checks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", TWICE)
        try:
            return dict(ConfigParser.load_config_file(path))
        except (ValueError, UserWarning) as error:
            if not str(error).startswith(TWICE):
                raise
            raise ConfigError(f"{path} has a setting twice ({error})", "remove one of the two") from error


def require_of_bundle(paths: Iterable[str | Path], folder: Path) -> None:
    """Refuse a config that lies in another bundle: its settings may have the names of this one's, and other meanings.

    Args:
        paths: of the config files of a command; one in no bundle is the user's own.
        folder: the bundle's ``configs``.

    Raises:
        ConfigError: for the first such file.
    """
    own = _bundle_in(folder)
    for path in paths:
        other = Path(path).resolve().parent
        if own is not None and _bundle_in(other) not in (own, None):
            fault = f"{path} is a config of another bundle ({_bundle_in(other)}) than this one ({own})"
            raise ConfigError(fault, "omit it, or copy it to a folder of yours if its settings are meant")


def _bundle_in(folder: Path) -> str | None:
    """The name of the bundle whose configs lie in a folder; None where its metadata say none."""
    with suppress(OSError, ValueError, AttributeError):
        name: str | None = json.loads((folder / "metadata.json").read_text()).get("name")
        return name
    return None


def top(key: str) -> str:
    """The part of an id that stands at the top of a config."""
    return re.split("::|#", key)[0].lstrip("+")


def set_by(files: Iterable[Settings]) -> set[str]:
    """The ids of what the overlays among config files set."""
    keys = {key.lstrip("+") for overlay in files if "bundle_root" not in overlay for key in overlay}
    return {ReferenceResolver.normalize_id(key) for key in keys}


def outside_installation(config: Settings, bundle_root: str) -> Settings:
    """The configuration of an installed bundle: runs and phantoms go to the current folder, not next to the package.

    Args:
        config: composed, raw; it stays as it is.
        bundle_root: the bundle's folder, whose name that of the run gets.
    """
    own = {"output_dir": str(Path.cwd() / Path(bundle_root).name), "demo_data": "$@output_dir + '/demo_data'"}
    in_bundle = {"output_dir": "@bundle_root", "demo_data": "$@bundle_root + '/demo_data'"}
    return {**config, **{name: own[name] for name, value in in_bundle.items() if config.get(name) == value}}
