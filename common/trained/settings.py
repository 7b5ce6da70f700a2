"""Settings that weights were trained with, used wherever the weights are.

Components of a configuration that build a network or its images require one of these two functions (``_requires_`` in
MONAI's configs) and commands run it first, so that the settings are right before anything is built.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver
from monai.handlers import CheckpointLoader

from common import checkpoints
from common.errors import CheckpointError, ConfigError
from common.path_names import is_reference
from common.running_config import (
    Settings,
    change,
    config_files,
    configs_in,
    followed,
    given_options,
    lookup,
    running_config,
    whole_configs,
)
from common.settings.checks import check_sizes
from common.settings.shipped import refuse_idle, top
from common.trained.adoption import Adoption
from common.trained.recorded import require_recorded
from common.weights_info import IMAGES, PRETRAINED_NAME, WeightsInfo, bundle_name, read_info

logger = logging.getLogger(__name__)
CHOOSES_WEIGHTS = ("output_dir", "weights", "variant", "run_dir")
"""Options that say which weights are meant, so that shipped ones are not."""


def settings_of_weights(
    bundle_root: str, weights: str, shipped: str | None = PRETRAINED_NAME, same_files: bool = False
) -> WeightsInfo | None:
    """Give the running configuration the settings that the weights in use were trained with.

    Where the user has trained none and names no other, the weights that the bundle ships are used.

    Args:
        bundle_root: the bundle's folder, whose ``models`` may hold shipped weights.
        weights: path of the weights in use.
        shipped: name of the shipped weights; None where they are not meant.
        same_files: whether the files of the training are read again, and therefore as then.

    Returns:
        What is known of the weights; None where there are none, which is an error when they are loaded.

    Raises:
        CheckpointError: nothing is known of the weights, or they are not the ones that are described.
        ConfigError: an option contradicts the network of the weights, or has no effect with them.
    """
    config = running_config()
    if not isinstance(weights, str | Path):
        raise ConfigError("--weights", "is a path", repr(weights), "write the path after it, or omit the option")
    if Path(weights).is_dir():
        raise CheckpointError(
            "--weights", "is a file", f"{weights}: a folder", "give its models/model.pt, or --output_dir"
        )
    if Path(weights).is_file():
        about = read_info(weights)
        _adopt(bundle_root, about, config, same_files)
        return about
    own = Path(bundle_root, "models", shipped or "")
    if not own.is_file():
        return None
    chosen = _chosen(bundle_root, config)
    if chosen and not config_files():  # a program may build networks before it has weights
        return None
    if chosen:
        place = ", ".join(f"--{name}" for name in chosen)
        remedy = f"train there first, or pass --weights FILE, such as the shipped {own}"
        where = "; --predictions_dir alone says where to write" if "output_dir" in chosen else ""
        raise CheckpointError(f"no weights at {weights} (from {place}): {remedy}{where}")
    about = read_info(own)
    try:
        _adopt(bundle_root, about, config, by_default=True)
    except ConfigError as error:
        if config_files():
            raise
        logger.warning(f"weights: {own}, which the bundle ships, is not used: {error}")  # a program's own network
        return None
    change({"weights": str(own)})
    return about


def settings_to_start_from(
    bundle_root: str, pretrained: bool = False, name: str = PRETRAINED_NAME
) -> WeightsInfo | None:
    """Give the running configuration the settings of the weights that a training starts from.

    These are the weights that the bundle ships, or those that MONAI Label loads by a ``CheckpointLoader``.

    Args:
        bundle_root: the bundle's folder, whose ``models`` hold the weights.
        pretrained: whether to start from the shipped weights.
        name: file name, if a bundle ships several.

    Returns:
        What is known of the shipped weights; None without ``pretrained``.

    Raises:
        CheckpointError: there are no such weights, or they are not the ones that are described.
        ConfigError: an option contradicts the network of the weights.
    """
    config = running_config()
    if pretrained:
        about = read_info(_shipped(Path(bundle_root, "models"), name))
        _adopt(bundle_root, about, config)
        check_sizes(running_config())
        return about
    for handler in (followed(config, handler) for handler in lookup(config, "train::handlers") or []):
        kind = str(handler.get("_target_")).rpartition(".")[2] if isinstance(handler, dict) else None
        if kind == CheckpointLoader.__name__ and Path(str(handler["load_path"])).is_file():
            _adopt(bundle_root, read_info(handler["load_path"]), config)
    return None


def _shipped(models: Path, name: str) -> Path:
    """The shipped weights by their name, or ``model.pt`` where a release has them by that name."""
    path = models / name
    released = models / checkpoints.WEIGHTS_NAME
    if not path.is_file() and released.is_file() and read_info(released).told.get("shipped"):
        return released
    if not path.is_file():
        raise CheckpointError("--pretrained", "starts from weights that the bundle ships", "none", "omit the option")
    return path


def _chosen(bundle_root: str, config: Settings) -> list[str]:
    """The options by which the user says which weights are meant."""
    given, shipped = given_options(), configs_in(Path(bundle_root, "configs"))
    known = {name: [one[name] for one in whole_configs(shipped) if name in one] for name in CHOOSES_WEIGHTS}
    return [name for name in CHOOSES_WEIGHTS if name in given or name in config and config[name] not in known[name]]


def _adopt(
    bundle_root: str, about: WeightsInfo, config: Settings, same_files: bool = False, by_default: bool = False
) -> None:
    """Change what the configuration has otherwise, and say it; a program without a configuration has no settings.

    Of weights ``by_default``, where the user named none, one line says what they are and what they were trained on.
    """
    if not config:
        return
    shipped = configs_in(Path(bundle_root, "configs"))
    about.require_safe()
    require_recorded(about, shipped)
    files = [ConfigParser.load_config_file(path) for path in config_files()]
    refuse_idle(config, {*about.settings, *(top(key) for file in files for key in file)}, Path(bundle_root, "configs"))
    adoption = Adoption(about, config, whole_configs(shipped), _given(files))
    changes = adoption.changes(bundle_name(bundle_root), same_files)
    change(changes)
    shown = ", ".join(f"{name} {value}" for name, value in changes.items() if _is_plain(value))
    data = about.trained_on.get("data", IMAGES)
    name = "using the shipped weights" if by_default else "weights"
    logger.info(
        f"{name}: {about.path}, sha256 {about.sha256[:12]}, trained on {data}{', with ' + shown if shown else ''}"
    )
    if about.origin and not by_default and not _on_phantoms(config):
        logger.warning(f"weights: {about.path} were trained on {about.origin}")


def _given(files: list[Settings]) -> set[str]:
    """The ids of the command's options, and of what the overlays among its files set."""
    keys = {key.lstrip("+") for overlay in files if "bundle_root" not in overlay for key in overlay}
    return {*given_options(), *(ReferenceResolver.normalize_id(key) for key in keys)}


def _on_phantoms(config: Settings) -> bool:
    return config.get("dataset_dir") in (config.get("demo_data"), "@demo_data") and not config.get("datalist")


def _is_plain(value: Any) -> bool:
    return not is_reference(value) and not isinstance(value, dict)
