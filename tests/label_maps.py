"""A small head as a label map, of shells and balls at 1 mm, for tests of the heads that are drawn from such maps."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (64, 72, 72)
CENTRE = np.array([32, 34, 40])
SHELLS = ((30, 511), (28, 507), (24, 515), (21, 24), (19, 3), (15, 2), (5, 4))
"""Outer radius in mm and label, outermost first."""
EYES = ((24, 60, 34), (40, 60, 34))


def ball(centre: tuple[int, ...] | np.ndarray, radius: float) -> np.ndarray:
    """Voxels of the map around a voxel."""
    away = np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1))
    return np.sum(away**2, axis=0) <= radius**2


def labels() -> np.ndarray:
    """The map: a head of shells with eyes, an artery, a vein, choroid plexus, a sinus, and a jaw below the eyes."""
    found = np.zeros(SHAPE, np.int16)
    for centre in EYES:
        found[ball(centre, 7)] = 507
    jaw = (slice(26, 39), slice(40, 60), slice(0, 8))
    found[22:43, 36:64, 0:30] = 507
    for radius, label in SHELLS:
        found[ball(CENTRE, radius)] = label
    for centre in EYES:
        found[ball(centre, 3)] = 506
    found[jaw] = 515
    found[32, 34, 57:61], found[34, 34, 57:61], found[31:34, 33:36, 39:42] = 502, 514, 31
    found[28:37, 50:56, 24:29] = 0
    return found


def write(folder: Path, count: int = 1, axes: str = "LIA") -> Path:
    """Write ``count`` maps, alike but for their names and one voxel, in an orientation; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        found = labels()
        found[32, 30 - number, 50] = 77
        image = nib.Nifti1Image(found, np.diag([1.0, 1.0, 1.0, 1.0]))
        turned = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
        )
        nib.save(image.as_reoriented(turned), folder / f"head_{number:02d}.nii.gz")
    return folder
