"""MR to CT with a conditional GAN on 2-D slices (pix2pix)."""

from pathlib import Path


def bundle_root() -> str:
    """The folder of this bundle, wherever the command was started."""
    return str(Path(__file__).resolve().parents[1])
