"""Contrast-enhanced CT to unenhanced CT with a residual CycleGAN of three discriminators."""

from pathlib import Path


def bundle_root() -> str:
    """Absolute path of this bundle's folder."""
    return str(Path(__file__).resolve().parents[1])
