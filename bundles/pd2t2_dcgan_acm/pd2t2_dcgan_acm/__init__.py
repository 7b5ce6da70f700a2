"""PD to T2 with a 3-D GAN on patches, a gradient difference loss and auto-context."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
