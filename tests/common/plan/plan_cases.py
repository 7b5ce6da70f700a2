"""Synthetic cases for the tests of the plan: fingerprints, and small volumes on disk."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from common.plan.fingerprint import CaseProperties

PLAIN = (0.0, 900.0)


def case(
    name: str = "a", spacing: tuple[float, float, float] = (1, 1, 1), box: tuple[int, int, int] = (64, 64, 64), **more
) -> CaseProperties:
    """A fingerprint whose foreground fills its box."""
    whole = {"slices": box, "is_sheared": False, "sources": (PLAIN,), "target": PLAIN}
    return CaseProperties(name, spacing, box, **{**whole, **more})


def write_pair(folder: Path, source: np.ndarray, target: np.ndarray, mask: np.ndarray, spacing: tuple[float, ...]):
    """A case of mr2ct in a folder, on a grid that is oriented RAS."""
    folder.mkdir(parents=True)
    affine = np.diag([*spacing, 1.0])
    for name, values in (("mr", source), ("ct", target), ("mask", mask)):
        nib.save(nib.Nifti1Image(values.astype(np.int16), affine), folder / f"{name}.nii.gz")


def write_dataset(root: Path, cases: int = 6, shape=(40, 36, 12), spacing=(1.0, 1.0, 5.0), margin: int = 4) -> Path:
    """Cases of a box of tissue with bone in air, the second axis reversed in none; a function of their number."""
    for number in range(cases):
        chance = np.random.default_rng(number)
        mask = np.zeros(shape, bool)
        mask[margin:-margin, margin:-margin, 1:-1] = True
        source = np.where(mask, chance.normal(1000, 100, shape), chance.uniform(0, 20, shape))
        target = np.where(mask, chance.normal(0, 300, shape).clip(-500, 1300), -1000.0)
        write_pair(root / f"case_{number}", source, target, mask, spacing)
    return root
