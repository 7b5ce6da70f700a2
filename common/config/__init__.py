"""The configuration: files, options and the settings of weights become one plain dictionary, checked, then built."""

from .record import RunRecord, config_of
from .start import prepare, read_config

__all__ = ["RunRecord", "config_of", "prepare", "read_config"]
