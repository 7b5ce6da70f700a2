"""Weights as an overlay: a configuration gets the settings that the weights in use were trained with.

Weights are in use where a configuration has ``weights`` (an inference), ``evaluated`` (an evaluation, which reads the
files of the training again) or ``pretrained: true`` (a training that starts from them).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from monai.handlers import CheckpointLoader

from ..errors import CheckpointError, ConfigError
from ..path_names import as_data, is_reference
from ..raw_settings import Settings, copied, followed, lookup, put, resolved
from ..weights import checkpoints
from ..weights.info import IMAGES, PRETRAINED_NAME, WEIGHTS, WeightsInfo, bundle_name, read_info
from .adoption import Adoption
from .checks import check_sizes
from .compose import INSTALLED, outside_installation
from .files import whole_configs
from .recorded import require_recorded

logger = logging.getLogger(__name__)
EVALUATED = "evaluated"
"""Setting of the weights that an evaluation compares; those that a bundle ships are not meant."""
PRETRAINED = "pretrained"
"""Setting of a training: whether it starts from the weights that the bundle ships."""
SHIPPED = "shipped_weights"
"""Setting of the file name of these, if a bundle ships several."""
CHOOSES_WEIGHTS = ("output_dir", "weights", "variant", "run_dir")
"""Options that say which weights are meant, so that shipped ones are not."""


class RunningBundle(NamedTuple):
    """A bundle and what a command asks of it.

    Attributes:
        root: its folder.
        shipped: its config files, raw.
        given: ids of the command's options and of what its overlays set.
        is_command: whether a command asks; a program may build networks before it has weights.
    """

    root: str
    shipped: list[Settings]
    given: Collection[str]
    is_command: bool


def with_weights(config: Settings, bundle: RunningBundle) -> tuple[Settings, WeightsInfo | None]:
    """A configuration with the settings of the weights in use, and what is known of them; None without such.

    An option that contradicts the network of the weights is an error, one that changes its images a warning, one that
    only says how to compute is the user's.

    Args:
        config: composed, raw; it stays as it is.
        bundle: whose configuration it is.

    Raises:
        CheckpointError: nothing is known of the weights, or they are not the ones that are described.
        ConfigError: an option contradicts the network of the weights.
    """
    if WEIGHTS in config or EVALUATED in config:
        return _in_use(config, bundle)
    if config.get(PRETRAINED) is True:
        about = read_info(_shipped(Path(bundle.root, "models"), str(_resolved(config, SHIPPED) or PRETRAINED_NAME)))
        config = _adopted(config, bundle, about)
        check_sizes(config)
        return config, about
    for handler in (followed(config, handler) for handler in lookup(config, "train::handlers") or []):
        kind = str(handler.get("_target_")).rpartition(".")[2] if isinstance(handler, dict) else None
        if kind == CheckpointLoader.__name__ and Path(str(handler["load_path"])).is_file():  # as MONAI Label starts
            config = _adopted(config, bundle, read_info(handler["load_path"]))
    return config, None


def _in_use(config: Settings, bundle: RunningBundle) -> tuple[Settings, WeightsInfo | None]:
    """Those of the user, or where none was trained and no other is named, those that the bundle ships."""
    evaluated = EVALUATED in config
    weights = _resolved(config, EVALUATED if evaluated else WEIGHTS)
    if not isinstance(weights, str | Path):
        raise ConfigError(f"--weights is {weights!r}, not a path", "write the path after it, or omit the option")
    if Path(weights).is_dir():
        raise CheckpointError(f"--weights {weights} is a folder", "pass its models/model.pt, or --output_dir")
    if Path(weights).is_file():
        about = read_info(weights)
        return _adopted(config, bundle, about, same_files=evaluated), about
    own = Path(bundle.root, "models", str(_resolved(config, SHIPPED) or PRETRAINED_NAME))
    if evaluated or not own.is_file():  # an error when they are loaded
        return config, None
    if chosen := _chosen(config, bundle):
        if not bundle.is_command:
            return config, None
        place = ", ".join(f"--{name}" for name in chosen)
        remedy = f"train there first, or pass --weights FILE, such as the shipped {own}"
        where = "; --predictions_dir alone says where to write" if "output_dir" in chosen else ""
        raise CheckpointError(f"no weights at {weights} (from {place})", f"{remedy}{where}")
    about = read_info(own)
    try:
        config = _adopted(config, bundle, about, by_default=True)
    except ConfigError as error:
        if bundle.is_command:
            raise
        logger.warning(f"shipped weights {own} are not used: {error}")  # a program's own network
        return config, None
    return {**config, WEIGHTS: as_data(str(own))}, about


def require_trained(config: Settings) -> None:
    """Refuse the evaluation of a run without weights, before phantoms are made for it.

    Raises:
        CheckpointError: naming where they would be.
    """
    weights = _resolved(config, EVALUATED)
    if isinstance(weights, str | Path) and not Path(weights).is_file():
        variants = sorted(Path(weights).parents[1].glob(f"variants/*/models/{checkpoints.WEIGHTS_NAME}"))
        remedy = "train there first, or correct the path"
        if variants:
            remedy = f"pass --output_dir {variants[0].parents[1]} for a variant alone"
        raise CheckpointError(f"no weights at {weights} (from --output_dir)", remedy)


def _resolved(config: Settings, place: str) -> Any:
    """A setting's value; None where there is none."""
    value = config.get(place)
    return resolved(config, place) if is_reference(value) else value


def _shipped(models: Path, name: str) -> Path:
    """The shipped weights by their name, or ``model.pt`` where a release has them by that name."""
    path = models / name
    released = models / checkpoints.WEIGHTS_NAME
    if not path.is_file() and released.is_file() and read_info(released).metadata.get("shipped"):
        return released
    if not path.is_file():
        raise CheckpointError("the bundle ships no weights for --pretrained to start from", "omit the option")
    return path


def _chosen(config: Settings, bundle: RunningBundle) -> list[str]:
    """The options by which the user says which weights are meant."""
    whole = whole_configs(bundle.shipped)
    whole += [outside_installation(one, bundle.root) for one in whole] if INSTALLED else []
    known = {name: [one[name] for one in whole if name in one] for name in CHOOSES_WEIGHTS}
    named = [name for name in CHOOSES_WEIGHTS if name in config and config[name] not in known[name]]
    return [name for name in CHOOSES_WEIGHTS if name in bundle.given or name in named]


def _adopted(
    config: Settings, bundle: RunningBundle, about: WeightsInfo, same_files: bool = False, by_default: bool = False
) -> Settings:
    """The configuration with the settings of the weights; a log line names the weights and what they were trained on.

    ``by_default`` where the user named none.
    """
    about.require_safe(given=str(config))
    require_recorded(about, bundle.shipped)
    adoption = Adoption(about, config, whole_configs(bundle.shipped), bundle.given)
    changes = adoption.changes(bundle_name(bundle.root), same_files)
    config = copied(config)
    for place, value in changes.items():
        put(config, place, copied(value))
    name = "shipped weights" if by_default else "weights"
    logger.info(f"{name}: {about.path} (sha256 {about.sha256[:12]}), trained on {about.trained_on.get('data', IMAGES)}")
    if about.origin and not by_default and not _on_phantoms(config):
        logger.warning(f"the weights were trained on {about.origin}")
    return config


def _on_phantoms(config: Mapping[str, Any]) -> bool:
    return config.get("dataset_dir") in (config.get("demo_data"), "@demo_data") and not config.get("datalist")
