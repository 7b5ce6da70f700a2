"""Phantom dataset of low-dose and normal-dose CT: ``ROOT/<case>/{ldct,ndct,mask,lesion}.nii.gz``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.phantoms.ct import CT_RANGE_HU, ct_noise, render_ct
from common.phantoms.dataset import save_nifti, write_heads
from common.phantoms.head import head_anatomy

NORMAL_NOISE_HU = 4.0
"""[chosen] standard deviation of the noise of the normal-dose CT, of a thick slice at routine dose."""
LOW_NOISE_HU = 24.0
LESION_SHARE = 0.5
"""Share of a voxel from which it belongs to a lesion."""


def write_ldct(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered pairs of low-dose and normal-dose CT of random heads in HU, and ``dataset.json``.

    ``mask`` is the head, ``lesion`` the lesions of the white matter, 7 HU darker than it; a head without one has no
    such file. The dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    write_heads(root, cases, spacing, seed, _write_case)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    normal = render_ct(anatomy, rng, NORMAL_NOISE_HU)
    low = np.clip(normal + ct_noise(anatomy, rng, LOW_NOISE_HU), *CT_RANGE_HU)
    for name, volume in {"ldct": low, "ndct": normal}.items():
        save_nifti(folder / f"{name}.nii.gz", np.rint(volume).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
    lesion = anatomy.fractions["lesion"] > LESION_SHARE
    if lesion.any():
        save_nifti(folder / "lesion.nii.gz", lesion, anatomy.affine)
