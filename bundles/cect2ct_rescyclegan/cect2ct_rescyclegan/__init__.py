"""Contrast-enhanced CT to unenhanced CT with a residual CycleGAN of three discriminators."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
