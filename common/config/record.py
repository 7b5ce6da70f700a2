"""What a run knows of itself, for those who write it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from ..raw_settings import Settings, lookup
from ..weights.info import WeightsInfo

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
