"""MR to CT with a conditional GAN on 2-D slices (pix2pix)."""

from pathlib import Path


def bundle_root() -> str:
    """Absolute path of this bundle's folder."""
    return str(Path(__file__).resolve().parents[1])
