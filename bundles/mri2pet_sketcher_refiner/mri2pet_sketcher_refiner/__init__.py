"""Multimodal MR to a myelin map (PET) with a Sketcher and a Refiner."""

from pathlib import Path


def bundle_root() -> str:
    """Absolute path of this bundle's folder."""
    return str(Path(__file__).resolve().parents[1])
