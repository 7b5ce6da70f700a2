"""Phantom datasets of MR of heads with lesions: ``ROOT/<case>/{t1,t2,flair}.nii.gz`` and masks, or T1 and label map."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from common.segmenter.tissues import CLASSES
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import Anatomy, head_anatomy, partial_volume
from common.simulation.label_heads import heads_of
from common.simulation.session import SEQUENCES, WATER, render_session
from common.simulation.tissues import HOUNSFIELD

NAWM_SHARE = 0.9
"""[chosen] least share of white matter in a voxel of normal-appearing white matter."""


def write_flair(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered T1-, T2-weighted and FLAIR MR of random heads, with masks, and ``dataset.json``.

    Masks are of the head, of normal-appearing white matter and, in the three heads of four that have any, of lesions of
    the white matter, bright in T2 and FLAIR. The dataset is written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`.
    """
    write_heads(root, cases, spacing, seed, _write_case, water=WATER)


def write_labelled(
    root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, label_maps: str | Path | None = None
) -> None:
    """Write T1-weighted MR of random heads with their label maps, ``ROOT/<case>/{labels,mr}.nii.gz``.

    Labels: see :func:`labels_of`. Args and Raises: see :func:`common.simulation.dataset.write_heads`; ``label_maps``
    is a folder of the maps of individual heads, None for deformations of the average head.
    """
    write_heads(root, cases, spacing, seed, partial(_write_labelled, label_maps=label_maps), water=WATER)


def labels_of(anatomy: Anatomy) -> np.ndarray:
    """The tissue that a voxel has most of, (X, Y, Z) uint8: 1 to 7 as the classes of ``common.segmenter``, 0 air.

    8 are lesions, 9 is what belongs to none, such as vessels.
    """
    known = (*CLASSES.values(), ("lesion",))
    groups = (*known, tuple(set(HOUNSFIELD).difference(*known)))
    shares = [partial_volume(anatomy, {name: float(name in group) for name in HOUNSFIELD}) for group in groups]
    largest: np.ndarray = np.argmax(shares, axis=0).astype(np.uint8)
    return largest


def _write_labelled(folder: Path, seed: int, spacing: float, label_maps: str | Path | None) -> None:
    rng = np.random.default_rng(seed)
    anatomy = heads_of(label_maps, 0.0, 0.0, spacings_mm=[spacing])(rng)
    image = render_session(anatomy, ["t1"], rng)["t1"]
    save_nifti(folder / "labels.nii.gz", labels_of(anatomy), anatomy.affine)
    save_nifti(folder / "mr.nii.gz", image, anatomy.affine)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy = head_anatomy(seed, spacing)
    for name, image in render_session(anatomy, SEQUENCES, np.random.default_rng((seed, 1))).items():
        save_nifti(folder / f"{name}.nii.gz", image, anatomy.affine)
    masks = {"mask": anatomy.head, "nawm": anatomy.fractions["white"] > NAWM_SHARE}
    if (lesion := anatomy.fractions["lesion"] > 0.5).any():
        masks["lesion"] = lesion
    for name, region in masks.items():
        save_nifti(folder / f"{name}.nii.gz", region, anatomy.affine)
