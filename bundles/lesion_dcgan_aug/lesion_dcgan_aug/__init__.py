"""Lesion patch synthesis with one DCGAN per class, and a study of augmentation for lesion classification."""

from pathlib import Path


def bundle_root() -> str:
    """Absolute path of this bundle's folder."""
    return str(Path(__file__).resolve().parents[1])
