"""Phantom datasets of skull-stripped brains, half of them with lesions: ``ROOT/<case>/{t1,t2,flair,lesion}``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from common.simulation.dataset import save_nifti, write_heads
from common.simulation.label_heads import IndividualHeads
from common.simulation.label_heads.pathology import Pathology
from common.simulation.session import SEQUENCES, WATER, render_session
from common.simulation.simulate import AverageHeads, Heads
from common.simulation.variety import Variety

LESION_PROBABILITY = 0.5
LESION_SHARE = (0.002, 0.04)
"""[chosen] share of the white matter that lesions take."""


def write_brains(
    root: Path, cases: int = 24, spacing: float = 3.0, seed: int = 0, label_maps: str | Path | None = None
) -> None:
    """Write registered T1-, T2-weighted MR and FLAIR of random brains with the fluid around them.

    ``lesion`` is the mask of the lesions of the white matter, dark in T1, bright in T2 and FLAIR; a brain without any
    has no such file. The dataset is written atomically.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`; ``label_maps`` is a folder of the maps of
    individual heads, None for deformations of the average head.
    """
    write_heads(root, cases, spacing, seed, partial(_write_case, label_maps=label_maps), water=WATER)


def _heads(label_maps: str | Path | None, spacing: float) -> Heads:
    if label_maps is None:
        own = Variety((0.0, 0.8), False, LESION_PROBABILITY, LESION_SHARE, 1.0, 0.0)
        return AverageHeads(own, spacings_mm=[spacing])
    changes = Pathology(
        plaques=False, lesion_probability=LESION_PROBABILITY, lesion_share=LESION_SHARE, tumour_probability=0,
        infarct_probability=0, haematoma_probability=0, calcium_probability=0, stripped_probability=1,
        defaced_probability=0,
    )  # fmt: skip
    return IndividualHeads(label_maps, spacings_mm=[spacing], pathology=changes)


def _write_case(folder: Path, seed: int, spacing: float, label_maps: str | Path | None) -> None:
    rng = np.random.default_rng(seed)
    anatomy = _heads(label_maps, spacing)(rng)
    for name, image in render_session(anatomy, SEQUENCES, rng).items():
        save_nifti(folder / f"{name}.nii.gz", image, anatomy.affine)
    if (lesion := anatomy.fractions["lesion"] > 0.5).any():
        save_nifti(folder / "lesion.nii.gz", lesion, anatomy.affine)
