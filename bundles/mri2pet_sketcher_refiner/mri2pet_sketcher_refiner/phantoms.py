"""Phantom dataset of quantitative MR and [11C]PIB PET in multiple sclerosis and controls.

``ROOT/<case>/{mtr,fa,rd,ad,pet,mask,nawm}.nii.gz``, and ``lesion.nii.gz`` for patients only: the file of a region that
a case lacks is absent, which distinguishes controls from patients.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.simulation.dataset import case_name, save_nifti, write_heads
from mri2pet_sketcher_refiner.microstructure import brain_microstructure
from mri2pet_sketcher_refiner.quantities import render_mtr_dti, render_pib

CONTROL_EVERY = 3
"""Every third case is a control: 18 patients and 10 controls in Wei et al. 2019."""

UNITS = {
    "mtr": "percent",
    "fa": "1",
    "rd": "1e-3 mm^2/s",
    "ad": "1e-3 mm^2/s",
    "pet": "distribution volume ratio of [11C]PIB, cerebellar grey matter is 1",
}
LESION_SHARE = 0.5
NAWM_SHARE = 0.8
"""Share of a voxel from which it belongs to a region."""


def write_mri2pet(root: Path, cases: int = 12, spacing: float = 2.0, seed: int = 0) -> None:
    """Write MTR, FA, RD, AD and [11C]PIB PET of random brains with their regions, and ``dataset.json`` about them.

    Pairs are registered; images are float32 and 0 outside the brain. ``mask`` is the brain, ``nawm`` a patient's white
    matter outside plaques, or all white matter of a control, ``lesion`` a patient's plaques. The dataset is
    written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`; every third person is a control.
    """
    controls = [case_name(index) for index in range(cases) if index % CONTROL_EVERY == CONTROL_EVERY - 1]

    def write_case(folder: Path, seed: int, spacing: float) -> None:
        _write_case(folder, seed, spacing, patient=folder.name not in controls)

    write_heads(root, cases, spacing, seed, write_case, controls=controls, units=UNITS)


def _write_case(folder: Path, seed: int, spacing: float, patient: bool) -> None:
    brain = brain_microstructure(seed, spacing, patient)
    images = render_mtr_dti(brain, np.random.default_rng((seed, 1)))
    images["pet"] = render_pib(brain, np.random.default_rng((seed, 2)))
    regions = {"mask": brain.mask, "nawm": (brain.white - brain.lesion > NAWM_SHARE) & brain.mask}
    if patient:
        regions["lesion"] = (brain.lesion > LESION_SHARE) & brain.mask
    for name, voxels in (images | regions).items():
        save_nifti(folder / f"{name}.nii.gz", voxels, brain.affine)
