"""Phantoms of fast, thick, noisy MR: ``ROOT/<case>/{mr,zero_filled,thick,noisy,mask,lesion}.nii.gz``.

For networks of complex input there is ``zero_filled.h5``, a k-space, in place of its magnitude.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from common.simulation.corruptions.magnitude import Corruption
from common.simulation.corruptions.noise import RicianNoise
from common.simulation.corruptions.slices import ThickSlices
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import head_anatomy
from common.simulation.mr import render_pd_t2
from mri_dagan.kspace_files import require_h5py, write_kspace

NOISE = 0.005
"""[chosen] noise of the fully sampled MR relative to water, half of that of the pairs of PD and T2."""
NOISY = 0.05
"""[chosen] noise of ``noisy`` in both channels relative to the brightest tissue."""
SLICES = 2.5
"""[chosen] thickness of ``thick`` in voxels."""
LESION_SHARE = 0.5
"""Share of a voxel from which it belongs to a lesion."""
SCAN = 0
"""Seed of the mask and the simulated phase, which all cases share: the paper trains a network for each mask."""


def write_dagan(
    root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, acceleration: float = 4.0, kspace: bool = False
) -> None:
    """Write T2-weighted MR of random heads with the same from fewer samples, in thick slices, with noise.

    Everything about the acquisition is simulated, the phase of the images too. ``zero_filled`` has random lines of
    k-space, the same of all cases, ``thick`` slices of 2.5 voxels interpolated onto the grid of ``mr``, ``noisy``
    Rician noise, each case its own. ``mask`` is the head, ``lesion`` the lesions of the white matter, bright; a head
    without one has no such file. The dataset is written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`; ``acceleration``, above 1, is that of
    ``zero_filled``, all lines over the measured ones; ``kspace`` writes it as ``zero_filled.h5`` (fastMRI's layout) in
    place of its magnitude.
    """
    if kspace:
        require_h5py()
    undersampled = Undersampled("cartesian", acceleration)
    ways: dict[str, Corruption] = {
        "thick": ThickSlices(SLICES * spacing),
        "noisy": RicianNoise(NOISY),
    }
    write = partial(_write_case, undersampled, ways, kspace)
    write_heads(root, cases, spacing, seed, write, acceleration=acceleration)


def _write_case(
    undersampled: Undersampled, ways: dict[str, Corruption], kspace: bool, folder: Path, seed: int, spacing: float
) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    _, image = render_pd_t2(anatomy, rng, NOISE)
    scanned = undersampled.scan(image, np.random.default_rng(SCAN))
    volumes = {"mr": image} | {name: way(image, [spacing] * 3, rng) for name, way in ways.items()}
    if kspace:
        write_kspace(folder / "zero_filled.h5", scanned, anatomy.affine, undersampled.axis)
    else:
        volumes["zero_filled"] = scanned.volume
    for name, volume in volumes.items():
        save_nifti(folder / f"{name}.nii.gz", np.rint(volume).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
    lesion = anatomy.fractions["lesion"] > LESION_SHARE
    if lesion.any():
        save_nifti(folder / "lesion.nii.gz", lesion, anatomy.affine)
