"""Liver phantom dataset: volumes with lesion masks, and the patches cut from them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from common.data.datalist import write_datalist
from common.simulation.dataset import DESCRIPTION, phantom_dataset, save_nifti
from lesion_dcgan_aug.data.rois import MARGIN, cut_cases
from lesion_dcgan_aug.data.selection import FRACTIONS, split_lesions
from lesion_dcgan_aug.liver import LESIONS, liver

PATCHES = "patches"


def write_liver_lesions(root: Path, cases: int, spacing: float, seed: int, margin: float = MARGIN) -> None:
    """Write livers with cysts, metastases and hemangiomas, and their patches of 64 x 64 pixels.

    A case is the folder ``phantom_000`` and on with ``ct`` and a mask of each class of lesions. The patches are in
    ``patches/<class>`` and listed in ``datalist.json``, split by patient. The dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of patients, each with two or three lesions of every class.
        spacing: of pixels, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.
        margin: of the patches, see :func:`lesion_dcgan_aug.data.rois.cut_rois`.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    root = Path(os.path.abspath(root))
    with phantom_dataset(root, cases, seed, least_cases=3) as (partial, each):
        for folder, number in each:
            phantom = liver(number, spacing)
            save_nifti(folder / "ct.nii.gz", np.rint(phantom.ct).astype(np.int16), phantom.affine)
            for name, mask in phantom.masks.items():
                save_nifti(folder / f"{name}.nii.gz", mask, phantom.affine)
        items = cut_cases(partial, partial / PATCHES, LESIONS, margin=margin, one_patient_per_file=True)
        about = {"description": DESCRIPTION, "seed": seed, "spacing_mm": spacing}
        write_datalist(split_lesions(items, FRACTIONS, seed), partial / "datalist.json", **about)
