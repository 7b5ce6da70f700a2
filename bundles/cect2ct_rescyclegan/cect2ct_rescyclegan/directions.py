"""Direction of inference: generator weights, source files and output names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common.errors import ConfigError, choose


class Translation(NamedTuple):
    """What a direction needs.

    Attributes:
        weights: of a run, a path.
        shipped: the bundle's weights to fall back on; ``synthesize export`` writes those of ``cect2ct`` alone.
        source: file name without suffix.
        key: of the scans in a datalist.
        suffix: of the output.
    """

    weights: str
    shipped: str
    source: str
    key: str
    suffix: str


def translation(direction: str, run_dir: str, source: str, target: str) -> Translation:
    """What a direction needs.

    Args:
        direction: ``cect2ct``, or ``ct2cect`` for the generator kept next to it.
        run_dir: of the training.
        source: file name of contrast-enhanced CT, without suffix.
        target: of unenhanced CT.

    Raises:
        ConfigError: for another name.
    """
    models = Path(run_dir, "models")
    if direction == "cect2ct":
        return Translation(str(models / "model.pt"), "pretrained.pt", source, "image", "synthetic_ct")
    if direction == "ct2cect":
        backward = str(models / "model_backward.pt")
        return Translation(backward, "pretrained_backward.pt", target, "label", "synthetic_cect")
    raise ConfigError(f"--direction is {direction!r}", choose(("cect2ct", "ct2cect")))
