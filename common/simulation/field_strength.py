"""MR of one person by one sequence at 1.5 T and at 3 T: T1 is longer, T2* is shorter, and noise is halved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .corruptions.intensity import blurred
from .corruptions.noise import rician
from .dataset import save_nifti, write_heads
from .head import head_anatomy, partial_volume
from .mr import MR_BLUR_MM
from .physics import T1_AT_3T, T2_AT_3T, T2_STAR_AT_3T, PulseSequence, SpoiledEcho, Tissues
from .scanner import Scanner
from .tissues import Relaxation

FLOW_VOID = (0.2, 0.2)
NOISE = 0.01
"""[chosen] noise at 1.5 T relative to fully relaxed water: about a fifteenth of the signal of white matter. At 3 T it
is half of that: the signal grows with the square of the field, the noise of the body with the field (Edelstein et al.
1986)."""
WATER = 2000.0


def at_three_tesla(tissues: Mapping[str, Relaxation]) -> dict[str, Relaxation]:
    """Relaxation at 3 T of tissues at 1.5 T, times in ms, by the ratios of :mod:`common.simulation.physics`."""
    person = {}
    for name, tissue in tissues.items():
        t2 = tissue.t2 * T2_AT_3T.get(name, 1.0)
        t2_star = min(tissue.t2_star * T2_STAR_AT_3T, t2)
        person[name] = tissue._replace(t1=tissue.t1 * T1_AT_3T.get(name, 1.0), t2=t2, t2_star=t2_star)
    return person


def write_field_strengths(
    root: Path, cases: int = 12, spacing: float = 1.0, seed: int = 0, sequence: PulseSequence | None = None
) -> None:
    """Write registered MR at 1.5 T and 3 T of random heads, ``ROOT/<case>/{mr_15t,mr_3t,mask}.nii.gz``.

    Both have the same bias field: the unpredictable difference between coils would only add to the error.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.
        sequence: of both; by default a T1-weighted spoiled gradient echo.

    Raises:
        ConfigError: a number is out of range.
        OutputError: ``root`` holds something already or cannot be written.
    """
    echo = sequence or SpoiledEcho()

    def write_case(folder: Path, number: int, spacing: float) -> None:
        anatomy, rng = head_anatomy(number, spacing), np.random.default_rng((number, 1))
        person = Tissues(field_tesla=[1.5], flow_void=FLOW_VOID, agent_probability=0.0).draw(rng)
        places = (rng.random(), rng.random())
        bias, _ = Scanner().bias_fields(rng, anatomy.head.shape, anatomy.spacing)
        for name, tissues, noise in (("mr_15t", person, NOISE), ("mr_3t", at_three_tesla(person), NOISE / 2)):
            signal = partial_volume(anatomy, echo.signals(tissues, places))
            image = rician(WATER * blurred(signal, MR_BLUR_MM, anatomy.spacing) * bias, noise * WATER, rng)
            save_nifti(folder / f"{name}.nii.gz", np.rint(image).astype(np.int16), anatomy.affine)
        save_nifti(folder / "mask.nii.gz", anatomy.head, anatomy.affine)

    write_heads(Path(root), cases, spacing, seed, write_case)
