"""Direction of inference: generator weights, source files and output names."""

from __future__ import annotations

from pathlib import Path

from common.errors import ConfigError, choose


def translation(direction: str, run_dir: str, source: str, target: str) -> dict[str, str]:
    """What a direction needs: ``weights`` (a path), ``source`` (file name without suffix), ``key`` (of its scans in a
    datalist) and ``suffix`` of the output; ``pretrained`` names the bundle's weights to fall back on;
    ``synthesize export`` writes those of ``cect2ct`` alone.

    Args:
        direction: ``cect2ct``, or ``ct2cect`` for the generator kept next to it.
        run_dir: of the training.
        source: file name of contrast-enhanced CT, without suffix.
        target: of unenhanced CT.

    Raises:
        ConfigError: for another name.
    """
    if direction == "cect2ct":
        return {
            "weights": str(Path(run_dir, "models", "model.pt")),
            "pretrained": "pretrained.pt",
            "source": source,
            "key": "image",
            "suffix": "synthetic_ct",
        }
    if direction == "ct2cect":
        backward = Path(run_dir, "models", "model_backward.pt")
        return {
            "weights": str(backward),
            "pretrained": "pretrained_backward.pt",
            "source": target,
            "key": "label",
            "suffix": "synthetic_cect",
        }
    raise ConfigError(f"--direction is {direction!r}", choose(("cect2ct", "ct2cect")))
