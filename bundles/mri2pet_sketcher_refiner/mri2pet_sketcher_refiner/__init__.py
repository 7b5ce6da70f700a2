"""Multimodal MR to a myelin map (PET) with a Sketcher and a Refiner."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
