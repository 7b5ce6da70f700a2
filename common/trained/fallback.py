"""Fallback to pretrained weights in inference, if the user has trained none."""

from __future__ import annotations

import logging
from pathlib import Path

from monai.bundle.config_parser import ConfigParser

from common import checkpoints
from common.running_config import change, running_config
from common.weights_info import PRETRAINED_NAME, TRAINED_ON, read_info

logger = logging.getLogger(__name__)


def fall_back(bundle_root: str, run_dir: str, name: str = PRETRAINED_NAME) -> bool:
    """Use the pretrained weights, with the settings that they need, if ``run_dir`` holds no ``model.pt``.

    Call it before any component reads a setting. Weights, a variant or network settings chosen by the user take
    precedence: then the pretrained weights are not used, and the log gives the reason.

    Args:
        bundle_root: the bundle's folder, whose ``models`` may hold pretrained weights.
        run_dir: folder of the user's own training.
        name: file name, if a bundle ships several.

    Returns:
        Whether the pretrained weights are used.

    Raises:
        CheckpointError: the pretrained weights are not those that were shipped.
    """
    path = Path(bundle_root, "models", name)
    own = Path(run_dir, "models", checkpoints.WEIGHTS_NAME)
    if own.exists() or not path.is_file():
        return False
    config = running_config()
    shipped = ConfigParser.load_config_file(Path(bundle_root, "configs", "inference.yaml"))
    if config.get("weights") != shipped["weights"] or config.get("variant"):
        return False
    about = read_info(path)
    chosen = {key: config.get(key) for key in about.settings}
    if other := [key for key in chosen if chosen[key] not in (about.settings[key], shipped.get(key))]:
        stated = ", ".join(f"{key} {about.settings[key]} rather than {chosen[key]}" for key in other)
        logger.warning(f"weights: {path} is not used, since it has {stated}")
        return False
    change({**about.settings, "weights": str(path)})
    logger.warning(
        f"weights: {own} does not exist; PRETRAINED ones are used, trained on {TRAINED_ON}: {path}, "
        f"sha256 {about.sha256[:12]}, with {', '.join(f'{key} {value}' for key, value in about.settings.items())}"
    )
    return True
