"""Checks of settings: known name, type of the default, range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

from common.errors import ConfigError
from common.running_config import is_reference

POSITIVE = (
    *("max_epochs", "val_interval", "batch_size", "accumulation_steps", "learning_rate"),
    *("inference_batch", "depth", "width", "pad_size", "crop_size", "neighbours"),
)
PATHS = ("datalist", "demo_data", "weights")
NOT_NEGATIVE = ("constant_epochs", "decay_epochs", "num_workers", "seed", "loss_weights")


def check(config: Mapping[str, Any], shipped: Mapping[str, list[Any]]) -> None:
    """Check a configuration against the defaults of the bundle.

    Args:
        config: top-level keys and raw values.
        shipped: every top-level key of the config files of the bundle, with its values there.

    Raises:
        ConfigError: for the first setting that is unknown, of another type than its default, or out of range.
    """
    text = str(list(config.values()))
    tracking: Any = DEFAULT_EXP_MGMT_SETTINGS["mlflow"]["configs"]
    for key, value in config.items():
        if key not in shipped and key not in tracking and not re.search(rf"[@%]{re.escape(key)}\b", text):
            nearest = difflib.get_close_matches(key, shipped, n=1)
            remedy = f"did you mean --{nearest[0]}?" if nearest else f"the settings are {', '.join(sorted(shipped))}"
            raise ConfigError(f"--{key}", "is a setting of this bundle", f"an unknown name (value {value!r})", remedy)
        _check_type(key, value, shipped.get(key, []))
        for name, number in _numbers(key, value):
            _check_range(name, number)
    if not config.get("pretrained"):  # the depth is that of the weights then, which are not read yet
        check_sizes(config)


def check_sizes(config: Mapping[str, Any]) -> None:
    """A crop must be divisible by 2 to the depth of the network, and fit into the padded slice.

    Raises:
        ConfigError: it does not.
    """
    crop, depth, padded = (config.get(name) for name in ("crop_size", "depth", "pad_size"))
    if isinstance(crop, int) and isinstance(depth, int) and crop % 2**depth:
        rule, remedy = f"is a multiple of {2**depth}, since depth is {depth}", "change crop_size or depth"
        raise ConfigError("--crop_size", rule, crop, remedy)
    if isinstance(crop, int) and isinstance(padded, int) and padded < crop:
        raise ConfigError("--pad_size", f"is at least crop_size, {crop}", padded, "raise it or lower crop_size")


def _check_type(key: str, value: Any, defaults: list[Any]) -> None:
    made = [default for default in defaults if is_reference(default) or _is_component(default)]
    plain = [default for default in defaults if default not in made and default is not None]
    optional = None in defaults or any(isinstance(default, list | dict) for default in plain)
    if value is True and (key.endswith("_dir") or key in PATHS):  # the value of an option without a value
        raise ConfigError(f"--{key}", "is a path", "an option without a value", "write the path after it")
    if not plain or value is None and optional or is_reference(value):
        return
    if not any(_same_type(value, default) for default in plain):
        hint = "write 1.0e-4, not 1e-4, for a number in YAML" if isinstance(value, str) else "see train.yaml"
        rule = f"is of type {type(plain[0]).__name__}, such as {plain[0]!r}"
        raise ConfigError(f"--{key}", rule, f"{value!r} ({type(value).__name__})", hint)


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, type(default))


def _check_range(name: str, number: float) -> None:
    top = name.split("::")[0]
    if top in POSITIVE and not number > 0:
        raise ConfigError(f"--{name}", "is above zero", number, "give a positive number")
    if top in NOT_NEGATIVE and not number >= 0:
        raise ConfigError(f"--{name}", "is not negative", number, "give zero or a positive number")


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(f"{name}::{key}", part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _is_component(value: Any) -> bool:
    """Whether a value defines a component, whose type is unknown here; servers give ``device`` as a text."""
    return isinstance(value, dict) and "_target_" in value
