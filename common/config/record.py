"""What a run knows of itself, for those who write it down or print it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from ..raw_settings import Settings, is_inside, lookup
from ..weights.info import WeightsInfo
from .files import set_by

RECORD = "record"
"""Setting that holds the record; MONAI hands an object on as it is."""


@dataclass(frozen=True)
class RunRecord:
    """The composed configuration of a command or program, and what it was composed of.

    Args:
        config: raw, as everything is built from it, but for this record.
        options: given to the command or by the program, by their id.
        weights: what is known of the weights in use, or of those that a training starts from; None without such.
        parser: builds the configuration.
    """

    config: Settings
    options: Settings = field(default_factory=dict)
    weights: WeightsInfo | None = None
    parser: ConfigParser | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> RunRecord:
        """It is never changed, and a parser cannot be copied."""
        return self

    def raw(self, place: str) -> Any:
        """The raw setting with an id; None where there is none."""
        return lookup(self.config, place)

    def built(self, place: str) -> Any:
        """What the run has built of a setting; None where it has no such setting."""
        known = self.parser is not None and place in self.parser
        return self.parser.get_parsed_content(place) if self.parser is not None and known else None

    @property
    def bundle_root(self) -> Path | None:
        """The bundle's folder."""
        root = self.built("bundle_root")
        return None if root is None else Path(root)


def config_of(record: RunRecord | None) -> Settings:
    """The configuration of a record; empty for a program that has none."""
    return {} if record is None else record.config


def show(config: Settings, before: Settings, options: Collection[str], files: Mapping[str, Settings]) -> None:
    """Print a configuration as YAML, each value with where it comes from where that is not the bundle's file.

    Args:
        config: composed, raw.
        before: the same without the settings of the weights.
        options: ids of those of the command.
        files: the config files of the command by their path, in their order, each as it stands.
    """
    overlays = [(f"overlay {Path(path).name}", set_by([content])) for path, content in list(files.items())[:0:-1]]

    def origin(place: str, value: Any) -> str:
        if is_inside(place, options):
            return "option"
        if value != lookup(before, place):
            return "weights"
        return next((name for name, keys in overlays if is_inside(place, keys)), "")

    print("\n".join(_lines(config, "", origin)), flush=True)


def _lines(config: Any, place: str, origin: Callable[[str, Any], str], indent: str = "") -> Iterator[str]:
    """Sections and lists of components are blocks; all else is one line."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        here = f"{place}::{key}" if place else str(key)
        name = f"{indent}{_plain(key)}:" if isinstance(config, dict) else f"{indent}-"
        is_block = isinstance(value, dict) or isinstance(value, list) and any(isinstance(part, dict) for part in value)
        if is_block and value:
            yield name
            yield from _lines(value, here, origin, f"{indent}  ")
        else:
            source = origin(here, value)
            yield f"{name} {_plain(value)}" + (f"  # {source}" if source else "")


def _plain(value: Any) -> str:
    """A value in one line; objects that a program gave are texts."""
    known = value if isinstance(value, str | int | float | list | dict | None) else str(value)
    text: str = yaml.safe_dump(known, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip().removesuffix("...").strip()
