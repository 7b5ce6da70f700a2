"""Phantom dataset of low-dose, thick and normal CT: ``ROOT/<case>/{ldct,thick,ndct,mask,lesion}.nii.gz``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from common.simulation.corruptions.slices import ThickSlices
from common.simulation.ct import render_ct
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.grid import Volume
from common.simulation.head import head_anatomy

NORMAL_NOISE_HU = 8.0
PHOTONS = 1.3e5
VIEWS = 90
"""[chosen] noise of the normal-dose CT, and the scan that gives the brain this noise at pixels of 2.5 mm. A tenth of
its dose then adds 24 HU, which leaves lesions of 7 HU hard to see."""
Scan = Callable[[Volume, Sequence[float], np.random.Generator], Volume]
SLICES = 3.0
"""Thickness of the slices of ``thick``, in voxels."""
LESION_SHARE = 0.5
"""Share of a voxel from which it belongs to a lesion."""


def write_ldct(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, dose: float = 0.1) -> None:
    """Write registered pairs of low-dose and normal-dose CT of random heads in HU, and ``dataset.json``.

    ``thick`` is the normal-dose CT in slices of three voxels, interpolated onto its grid. ``mask`` is the head,
    ``lesion`` the lesions of the white matter, 7 HU darker than it; a head without one has no such file. The dataset is
    written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`; ``dose`` is of the low-dose CT, a fraction of
    the normal dose. Noise in HU falls with larger pixels.
    """
    from common.simulation.corruptions.low_dose import (
        LowDose,  # of scikit-image, which training and inference do not need
    )

    scan = LowDose(dose, photons=PHOTONS, views=VIEWS)
    write_heads(root, cases, spacing, seed, partial(_write_case, scan), dose=dose)


def _write_case(scan: Scan, folder: Path, seed: int, spacing: float) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    normal = render_ct(anatomy, rng, NORMAL_NOISE_HU)
    low = scan(normal, [spacing] * 3, rng)
    thick = ThickSlices(SLICES * spacing, profile="box")(normal, [spacing] * 3, rng)
    for name, volume in {"ldct": low, "thick": thick, "ndct": normal}.items():
        save_nifti(folder / f"{name}.nii.gz", np.rint(volume).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
    lesion = anatomy.fractions["lesion"] > LESION_SHARE
    if lesion.any():
        save_nifti(folder / "lesion.nii.gz", lesion, anatomy.affine)
