"""Phantom dataset of T1-weighted MR of skull-stripped heads: ``ROOT/<case>/t1.nii.gz``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from common.simulation.dataset import save_nifti, write_heads
from common.simulation.label_heads import heads_of
from common.simulation.session import render_session

MOVED_MM = 4.0
"""Largest translation along each axis: an image is centred on the brain anyway, and the field of view must hold it."""
INSIDE = 0.5
"""Share of air from which a voxel is outside the brain, where a stripped image is 0."""


def write_brains(
    root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, label_maps: str | Path | None = None
) -> None:
    """Write T1-weighted MR of random brains, without skull, and ``dataset.json``, atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`; ``label_maps`` is a folder of the maps of
    individual heads, None for deformations of the average head.
    """
    write_heads(root, cases, spacing, seed, partial(_write_case, label_maps=label_maps))


def _write_case(folder: Path, seed: int, spacing: float, label_maps: str | Path | None) -> None:
    rng = np.random.default_rng(seed)
    anatomy = heads_of(label_maps, 1.0, 0.0, spacings_mm=[spacing], move_mm=MOVED_MM)(rng)
    whole = render_session(anatomy, ["t1"], rng)["t1"]
    save_nifti(folder / "t1.nii.gz", np.where(anatomy.fractions["background"] < INSIDE, whole, 0), anatomy.affine)
