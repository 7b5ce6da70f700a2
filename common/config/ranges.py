"""Ranges of settings, by name, at whatever depth they stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ConfigError
from ..path_names import is_reference

SEED_BITS = 64
MOST_WORKERS = 1024
"""Processes or threads of a loader: more are a slip, which would exhaust the machine."""


class Range(NamedTuple):
    """What each number of a setting must be: the rule in words, the remedy, and whether a number keeps it."""

    rule: str
    remedy: str
    holds: Callable[[float], bool]


POSITIVE = Range("is above zero", "give a positive number", lambda value: value > 0)
NOT_NEGATIVE = Range("is not negative", "give zero or a positive number", lambda value: value >= 0)
PERCENT = Range("are from 0 to 100", "correct it", lambda value: 0 <= value <= 100)
RANGES = {
    **dict.fromkeys(("max_epochs", "val_interval", "batch_size", "accumulation_steps", "learning_rate"), POSITIVE),
    **dict.fromkeys(("inference_batch", "depth", "width", "pad_size", "crop_size", "neighbours"), POSITIVE),
    **dict.fromkeys(("clip_norm", "interval", "lr", "max_memory_gb"), POSITIVE),
    **dict.fromkeys(("constant_epochs", "decay_epochs", "weight"), NOT_NEGATIVE),
    **dict.fromkeys(("percentiles", "source_percentiles"), PERCENT),
    "num_workers": Range(
        f"is not negative, whole and at most {MOST_WORKERS}",
        "give 0 for none",
        lambda value: isinstance(value, int) and 0 <= value <= MOST_WORKERS,
    ),
    "spacing": Range("is above zero, in mm", "give the distance of voxels", lambda value: value > 0),
    "ema_decay": Range("is from 0 to below 1", "correct it", lambda value: 0 <= value < 1),
    "betas": Range("are from 0 to below 1", "correct it", lambda value: 0 <= value < 1),
    "nan_fill": Range("is a finite number", "correct it", math.isfinite),
    "seed": Range(f"is not negative and below 2^{SEED_BITS}", "correct it", lambda value: 0 <= value < 2**SEED_BITS),
}
"""By the name of a setting, or of the section at the top that it stands in."""


def check_range(place: str, value: Any) -> None:
    """Refuse a number, or a list of which one is, out of the range of its setting; null and references are let through.

    Args:
        place: id of the setting, such as ``train::trainer::clip_norm``.
        value: a setting that is no section.

    Raises:
        ConfigError: it is, or is no number where the setting is one.
    """
    parts = place.split("::")
    found = RANGES.get(parts[-1]) or RANGES.get(parts[0])
    if found is None or value is None or is_reference(value):
        return
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not found.holds(number):
            raise ConfigError(f"--{place}", found.rule, repr(value), found.remedy)
