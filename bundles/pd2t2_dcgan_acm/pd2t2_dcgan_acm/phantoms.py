"""Phantom dataset of paired PD- and T2-weighted MR: ``ROOT/<case>/{pd,t2,mask}.nii.gz``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import head_anatomy
from common.simulation.mr import PD_T2_TR_MS, PD_TE_MS, T2_TE_MS, render_pd_t2


def write_pd2t2(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered pairs of PD- and T2-weighted MR of random heads, with head masks, and ``dataset.json``.

    The dataset is written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`.
    """
    echoes = {"pd": PD_TE_MS, "t2": T2_TE_MS}
    write_heads(root, cases, spacing, seed, _write_case, tr_ms=PD_T2_TR_MS, te_ms=echoes)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy = head_anatomy(seed, spacing)
    pd, t2 = render_pd_t2(anatomy, np.random.default_rng((seed, 1)))
    save_nifti(folder / "pd.nii.gz", np.rint(pd).astype(np.int16), anatomy.affine)
    save_nifti(folder / "t2.nii.gz", np.rint(t2).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
