"""MR of one person by one sequence at 1.5 T and at 3 T: T1 is longer, T2* is shorter, and noise is halved."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .dataset import save_nifti, write_heads
from .head import head_anatomy
from .physics import SpoiledEcho, Tissues, at_three_tesla
from .scanner import Scanner
from .session import scan

FLOW_VOID = (0.2, 0.2)
NOISE = 0.01
"""[chosen] noise at 1.5 T relative to fully relaxed water: about an eighth of the signal of white matter. At 3 T it
is half of that: the signal grows with the square of the field, the noise of the body with the field (Edelstein et al.
1986)."""


def write_field_strengths(root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0) -> None:
    """Write registered T1-weighted MR at 1.5 T and 3 T of random heads, ``ROOT/<case>/{mr_15t,mr_3t,mask}.nii.gz``.

    Both have the same bias field: the unpredictable difference between coils would only add to the error.

    Args and Raises: see :func:`common.simulation.dataset.write_heads`.
    """
    write_heads(Path(root), cases, spacing, seed, _write_case)


def _write_case(folder: Path, seed: int, spacing: float) -> None:
    anatomy, rng = head_anatomy(seed, spacing), np.random.default_rng((seed, 1))
    person = Tissues(field_tesla=[1.5], flow_void=FLOW_VOID, agent_probability=0.0).draw(rng)
    places = (rng.random(), rng.random())
    bias, _ = Scanner().bias_fields(rng, anatomy.head.shape, anatomy.spacing)
    for name, tissues, noise in (("mr_15t", person, NOISE), ("mr_3t", at_three_tesla(person), NOISE / 2)):
        image = scan(anatomy, SpoiledEcho().signals(tissues, places), bias, noise, rng)
        save_nifti(folder / f"{name}.nii.gz", image, anatomy.affine)
    save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)
