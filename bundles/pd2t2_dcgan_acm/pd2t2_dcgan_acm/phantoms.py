"""Phantom datasets of paired MR: PD and T2 of one scan, ``ROOT/<case>/{pd,t2,mask}.nii.gz``; T2 at 1.5 and 3 T."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.simulation.corruptions.intensity import blurred
from common.simulation.corruptions.noise import rician
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import head_anatomy, partial_volume
from common.simulation.mr import MR_BLUR_MM, PD_T2_TR_MS, PD_T2_WATER, PD_TE_MS, T2_TE_MS, render_pd_t2
from common.simulation.physics import SpinEcho, Tissues

FIELDS = {"t2_1p5t": 1.5, "t2_3t": 3.0}
"""Field strength of each file in tesla."""
TR_MS, TE_MS = 4000.0, 100.0
"""[chosen] the T2-weighted spin echo of both scanners, of which grey matter has not relaxed fully."""
NOISE_AT_1P5T = 0.02
"""[chosen] noise relative to fully relaxed water; at 3 T half of it, as the signal grows with the field."""


def write_pd2t2(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered pairs of PD- and T2-weighted MR of random heads, with head masks, and ``dataset.json``.

    The dataset is written atomically.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    echoes = {"pd": PD_TE_MS, "t2": T2_TE_MS}
    write_heads(root, cases, spacing, seed, _write_case, tr_ms=PD_T2_TR_MS, te_ms=echoes)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy = head_anatomy(seed, spacing)
    pd, t2 = render_pd_t2(anatomy, np.random.default_rng((seed, 1)))
    save_nifti(folder / "pd.nii.gz", np.rint(pd).astype(np.int16), anatomy.affine)
    save_nifti(folder / "t2.nii.gz", np.rint(t2).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)


def write_field_strengths(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write T2-weighted MR of random heads at 1.5 and 3 T, ``ROOT/<case>/{t2_1p5t,t2_3t,mask}.nii.gz``.

    Both are of one person by one sequence, without bias field and on one grid: T1, T2 and the noise differ as
    :data:`common.simulation.physics.T1_AT_3T`, ``T2_AT_3T`` and ``NOISE_AT_1P5T`` say. Args and Raises: see
    :func:`write_pd2t2`.
    """
    write_heads(root, cases, spacing, seed, _write_fields, tr_ms=TR_MS, te_ms=TE_MS, tesla=FIELDS)


def _write_fields(folder: Path, seed: int, spacing: float) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    echo = SpinEcho((TR_MS, TR_MS), (TE_MS, TE_MS))
    for name, tesla in FIELDS.items():
        person = Tissues([tesla], agent_probability=0.0).draw(np.random.default_rng(seed))  # the same at both
        image = blurred(partial_volume(anatomy, echo.signals(person, (0.0, 0.0))), MR_BLUR_MM, (spacing,) * 3)
        noisy = rician(PD_T2_WATER * image, PD_T2_WATER * NOISE_AT_1P5T * FIELDS["t2_1p5t"] / tesla, rng)
        save_nifti(folder / f"{name}.nii.gz", np.rint(noisy).astype(np.int16), anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
