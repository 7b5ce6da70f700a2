"""PD to T2 with a 3-D GAN on patches, a gradient difference loss and auto-context."""

from pathlib import Path


def bundle_root() -> str:
    """Absolute path of this bundle's folder."""
    return str(Path(__file__).resolve().parents[1])
