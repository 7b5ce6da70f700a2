"""Phantom dataset of paired T1-weighted MR and CT: ``ROOT/<case>/{mr,ct,mask}.nii.gz``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .dataset import save_nifti, write_heads


def write_mr2ct(root: Path, cases: int, spacing: float, seed: int) -> None:
    """Write pairs of T1-weighted MR and CT of random heads, with head masks, and ``dataset.json`` about them.

    The dataset is written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`.
    """
    write_heads(root, cases, spacing, seed, _write_case)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    from .ct import render_ct  # an inference names this module, and rarely needs what renders heads
    from .head import head_anatomy
    from .mr import render_t1

    anatomy = head_anatomy(seed, spacing)
    mr = render_t1(anatomy, np.random.default_rng((seed, 1)))
    ct = render_ct(anatomy, np.random.default_rng((seed, 2)))
    save_nifti(folder / "mr.nii.gz", np.rint(mr).astype(np.int16), anatomy.affine)
    save_nifti(folder / "ct.nii.gz", np.rint(ct).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
