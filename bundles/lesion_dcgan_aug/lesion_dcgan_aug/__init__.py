"""Lesion patch synthesis with one DCGAN per class, and a study of augmentation for lesion classification."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
