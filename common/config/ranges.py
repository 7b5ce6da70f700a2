"""Ranges of the numbers of a configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from monai.utils import ensure_tuple

from ..errors import ConfigError
from ..path_names import is_reference

SEED_BITS = 64
MOST_WORKERS = 1024
"""Processes or threads of a loader: more are a slip, which would exhaust the machine."""


class Range(NamedTuple):
    """What each number of a setting must be: the range in words, the remedy, and whether a number is in it."""

    words: str
    remedy: str
    holds: Callable[[float], bool]


def _is_whole(least: int, most: float = math.inf) -> Callable[[float], bool]:
    return lambda value: isinstance(value, int) and least <= value <= most


POSITIVE = Range("above zero", "give a positive number", lambda value: value > 0)
NOT_NEGATIVE = Range("zero or above", "give zero or a positive number", lambda value: value >= 0)
PERCENT = Range("from 0 to 100", "give percentages", lambda value: 0 <= value <= 100)
DECAY = Range("from 0 to below 1", "pass a number such as 0.9", lambda value: 0 <= value < 1)
WHOLE = Range("a whole number above zero", "pass a number such as 10", _is_whole(1))
RANGES = {
    **dict.fromkeys(("max_epochs", "val_interval", "batch_size", "accumulation_steps", "learning_rate"), POSITIVE),
    **dict.fromkeys(("inference_batch", "depth", "width", "pad_size", "crop_size", "tile", "neighbours"), POSITIVE),
    **dict.fromkeys(("clip_norm", "epochs", "interval", "lr", "max_memory_gb"), POSITIVE),
    **dict.fromkeys(("constant_epochs", "decay_epochs", "weight", "least_change"), NOT_NEGATIVE),
    **dict.fromkeys(("percentiles", "source_percentiles"), PERCENT),
    **dict.fromkeys(("ema_decay", "betas"), DECAY),
    **dict.fromkeys(("patience", "save_interval"), WHOLE),
    "num_workers": Range(f"a whole number from 0 to {MOST_WORKERS}", "give 0 for none", _is_whole(0, MOST_WORKERS)),
    "spacing": Range("above zero", "give the distance of voxels in mm", POSITIVE.holds),
    "dose": Range("above 0 to 1", "give the fraction of the full dose, such as 0.1", lambda value: 0 < value <= 1),
    "echo_time": Range("above 0 to 1", "give it in seconds, such as 0.03", lambda value: 0 < value <= 1),
    "artery_share": Range("above 0 to 1", "give the share of blood, such as 0.1", lambda value: 0 < value <= 1),
    "nan_fill": Range("a finite number", "pass a number such as 0", math.isfinite),
    "seed": Range(f"from 0 to below 2^{SEED_BITS}", "give another seed", lambda value: 0 <= value < 2**SEED_BITS),
}
"""By the name of a setting, or of the section at the top that it stands in."""


def check_range(place: str, value: Any) -> None:
    """Refuse a number out of the range of its setting, also in a list; null and references are let through.

    Raises:
        ConfigError: with the range.
    """
    names = place.split("::")
    allowed = RANGES.get(names[-1]) or RANGES.get(names[0])
    if allowed is None or value is None or is_reference(value):
        return
    for number in ensure_tuple(value):
        if isinstance(number, bool) or not isinstance(number, int | float) or not allowed.holds(number):
            raise ConfigError(f"--{place} is {value!r}, not {allowed.words}", allowed.remedy)
