"""Lesion patches by DCGAN, one for each class, and the study of what they add to a classifier."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
