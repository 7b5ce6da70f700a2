"""Phantom dataset of T1-, T2-weighted and FLAIR MR of heads with lesions: ``ROOT/<case>/{t1,t2,flair,mask}.nii.gz``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common.simulation.corruptions.intensity import blurred
from common.simulation.corruptions.noise import rician
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import head_anatomy, partial_volume
from common.simulation.mr import MR_BLUR_MM
from common.simulation.physics import InvertedEcho, NulledFluid, PulseSequence, SpinEcho, Tissues
from common.simulation.scanner import Scanner

SEQUENCES: Mapping[str, PulseSequence] = {
    "t1": InvertedEcho(),
    "t2": SpinEcho(te_ms=(80.0, 120.0)),
    "flair": NulledFluid(),
}
"""Those of Lesjak et al. 2017 are in these ranges."""

WATER = 2000.0
NOISE = 0.005
"""[chosen] signal of fully relaxed water, and the noise of each channel relative to it: FLAIR has little signal."""


def write_flair(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered T1-, T2-weighted and FLAIR MR of random heads, with head masks, and ``dataset.json``.

    Three heads in four have lesions of the white matter, bright in T2 and FLAIR. The dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    write_heads(root, cases, spacing, seed, _write_case, water=WATER)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    person, places = Tissues(agent_probability=0.0).draw(rng), (rng.random(), rng.random())
    bias, _ = Scanner().bias_fields(rng, anatomy.head.shape, spacing)
    for name, sequence in SEQUENCES.items():
        signal = blurred(partial_volume(anatomy, sequence.signals(person, places)), MR_BLUR_MM, spacing)
        image = rician(WATER * signal * bias, NOISE * WATER, rng)
        save_nifti(folder / f"{name}.nii.gz", np.rint(image).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
