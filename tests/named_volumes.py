"""Volumes in files whose headers hold a name, in any orientation."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np


def write_named(path: Path, volume: np.ndarray, affine: np.ndarray, axcodes: str = "RAS") -> None:
    """Write a volume that is given in RAS order as int16 in another one, described as ``DOE^JANE``."""
    image = nib.Nifti1Image(volume.astype(np.int16), affine)
    image.header["descrip"] = b"DOE^JANE"
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axcodes))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image.as_reoriented(turn), path)
