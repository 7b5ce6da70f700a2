"""Comparison of the settings of a resumed run with those it had."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...raw_settings import as_json, followed, leaves, lookup, references
from ...weights.info import NETWORK, RUN_NAME, read_run, without_order

logger = logging.getLogger(__name__)
KEPT = ("optimizer", "schedule", "seed")
"""What a checkpoint keeps as it was, so that another value would be without effect."""
KEPT_PARTS = ("fold", "folds")
"""The same as parts of a component; the split of a run is kept too."""
RATES = ("learning_rate", "lr", "discriminator_rate")
"""Learning rates, which a resumed run takes from its own settings."""
COMPARED = (*NETWORK, "preprocessing", "validate")
"""What the best validation so far depends on."""
FREE = (
    *("device", "bundle_root", "output_dir", "run_dir", "variant", "resume", "run", "training", "initialize"),
    *("prepare", "acceleration", "dataset_dir", "demo_data", "datalist", "phantoms", "network", "max_epochs"),
    *("val_interval", "pretrained", "shipped_weights"),
)
"""Where and how long a run goes on; its data are compared by what they are, with the split."""
FREE_PARTS = (*FREE, "target_dir", "data_check", "keep_split", "num_workers")
"""The same as parts of a component."""


def require_same(run_dir: Path, config: Mapping[str, Any]) -> None:
    """Compare a configuration with that of the run to resume; settings that may change give one line each.

    Args:
        run_dir: of the run to resume.
        config: the running configuration, raw.

    Raises:
        ConfigError: a setting is another that the checkpoint keeps, or that the best validation depends on.
    """
    path = run_dir / RUN_NAME
    if not path.is_file():
        logger.warning(f"no {path}: settings are not compared with those of the run to resume")
        return
    then, now = without_order(read_run(path)), without_order(as_json(dict(config)))
    network, kept, compared = (references(then, roots) | references(now, roots) for roots in (NETWORK, KEPT, COMPARED))
    for place, before, value in _differences(then, now):
        top, name = place.split("::")[0], place.split("::")[-1]
        is_kept = name in KEPT_PARTS
        reason = "the checkpoint keeps it" if top in kept or is_kept else "the best validation so far was with it"
        in_both = lookup(then, place) is not None and lookup(now, place) is not None  # versions may differ in the rest
        is_compared = top in network or top in kept | compared and (in_both or "::" not in place)
        if is_kept or is_compared and name not in RATES:
            fault = f"--{place} is {value}, but {before} in the run to resume, and {reason}"
            raise ConfigError(fault, "set it as it was, or start a new run with --resume false")
        logger.warning(f"resume: --{place} is {value} from here on, and was {before} in the run so far")


def _differences(then: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Every setting that is another one: its id, and both values."""
    one, other = dict(leaves(then, "")), dict(leaves(now, ""))
    for place in dict.fromkeys([*one, *other]):
        name = place.removeprefix("::")
        top, _, inner = name.partition("::")
        only_named = not inner and (name not in then or name not in now)  # the components say what it is for
        free = top in FREE or name.split("::")[-1] in FREE_PARTS or name.startswith("train::handlers")
        if free or only_named or one.get(place) == other.get(place):
            continue
        before, value = followed(then, one.get(place)), followed(now, other.get(place))
        if before != value and not (place.endswith("_target_") and _class_of(before) == _class_of(value)):
            yield name, before, value


def _class_of(target: Any) -> str:
    """The name of a class or function without its module, which another version may have elsewhere."""
    return str(target).rpartition(".")[2]
