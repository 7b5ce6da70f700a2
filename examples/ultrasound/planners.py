"""A synthetic CT as programs that plan transcranial ultrasound read it.

    python -m examples.ultrasound.planners CT.nii.gz OUT

writes ``pseudoCT.nii.gz``, ``skull.nii.gz`` and ``pseudo_ct.json``. Looked up in November 2026: BabelBrain's guide
(commit 43e2c38: CT as NIfTI next to a T1 of 1 mm), k-Plan's (dispatch.k-plan.io: NIfTI, RAS+, sform; it warns where
the qform differs, and fills with the lowest value), PRESTUS (commit 01869f6: ``pseudoCT.nii.gz`` in HU in the folder of
SimNIBS) and the BRIC TUS tools (commit 2849f7c: 1 mm, the grid of the T1, bone from 300 HU).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import nibabel.processing
import numpy as np

from common.errors import DataError, OutputError, exit_code_of_user_errors, path_option
from common.files import write_text
from common.io import VolumeReader
from common.units import HU_OF_AIR
from common.weights.checkpoints import sha256
from examples.ultrasound.medium import BONE_HU

PLANNED_MM, SKULL_MM, MARGIN_MM = 1.0, 0.5, 5.0
"""Voxels of the whole CT and of the skull, and what is kept around the skull."""
MAPPINGS = {
    "density_kg_m3": "k-Wave hounsfield2density(HU + 1000), at most 2100 (Schneider et al. 1996)",
    "speed_m_s": "1.33 density + 167 (k-Plan)",
    "attenuation_dB_cm_MHz": 13.3,
    "bone_from_hu": BONE_HU,
}
"""Proposed for the planner; the files hold HU."""


def write_for_planners(ct: Path, out: Path) -> None:
    """Write the files of a CT.

    Args:
        ct: NIfTI in HU; the JSON next to it, if any, gives verdict and provenance.
        out: folder; ``pseudoCT.nii.gz`` is the whole CT in RAS+ order and voxels of 1 mm, ``skull.nii.gz`` the box of
            the bone in voxels of 0.5 mm, 0 where it has less than ``BONE_HU``; both int16 in HU, with sform and qform
            alike.

    Raises:
        DataError: the CT is not one volume in HU with bone, or its verdict is ``refuse``.
        OutputError: the folder has such a file already.
    """
    scan = VolumeReader().read(ct, ct.name)
    values, image = scan.values, nib.nifti1.Nifti1Image(scan.values, scan.affine)
    if values.ndim != 3 or values.max() < BONE_HU or values.min() > HU_OF_AIR / 2:
        fault = f"{ct.name} of shape {values.shape} has values from {values.min():g} to {values.max():g}"
        raise DataError(f"{fault}, no CT in HU with air and bone", "pass one volume in HU")
    beside = ct.with_name(ct.name.split(".nii")[0] + ".json")
    record: dict[str, Any] = json.loads(beside.read_text()) if beside.is_file() else {}
    verdict = (record.get("Quality") or {}).get("verdict")
    if verdict == "refuse":
        raise DataError(f"{ct.name} has the verdict refuse", "plan on another scan")
    if taken := [name for name in ("pseudoCT.nii.gz", "skull.nii.gz", "pseudo_ct.json") if (out / name).exists()]:
        raise OutputError(f"{out} already holds {taken[0]}", "choose another folder")
    whole = _resampled(image, PLANNED_MM)
    fine = _resampled(whole.slicer[_box(whole)], SKULL_MM)
    bone = np.asarray(fine.dataobj)
    skull = nib.nifti1.Nifti1Image(np.where(bone >= BONE_HU, bone, 0), fine.affine)
    out.mkdir(parents=True, exist_ok=True)
    _save(whole, out / "pseudoCT.nii.gz", "CT in HU")
    _save(skull, out / "skull.nii.gz", "bone in HU, else 0")
    described = {
        "not_for_clinical_use": True,
        "unit": "HU",
        "orientation": "RAS+",
        "pseudoCT": {"spacing_mm": PLANNED_MM, "shape": whole.shape, "resampled": whole.shape != image.shape},
        "skull": {"spacing_mm": SKULL_MM, "shape": skull.shape},
        "mapping": MAPPINGS,
        "verdict": verdict,
        "quality": record.get("Quality"),
        "weights_sha256": record.get("WeightsSha256"),
        "ct_sha256": sha256(ct),
    }
    write_text(out / "pseudo_ct.json", json.dumps(described, indent=2))


def _resampled(image: Any, spacing: float) -> Any:
    """An image in RAS+ order and isotropic voxels, as it is where it has them."""
    own = nib.as_closest_canonical(image)
    if np.allclose(np.asarray(own.affine)[:3, :3], spacing * np.eye(3), atol=1e-4):
        return own
    return nib.processing.resample_to_output(own, (spacing,) * 3, order=1, cval=HU_OF_AIR)


def _box(image: Any) -> tuple[slice, ...]:
    """The bone's box with a margin."""
    places = np.argwhere(np.asarray(image.dataobj) >= BONE_HU)
    margin = round(MARGIN_MM / PLANNED_MM)
    ends = zip(places.min(0).tolist(), places.max(0).tolist(), strict=True)
    return tuple(slice(max(low - margin, 0), high + margin + 1) for low, high in ends)


def _save(image: Any, path: Path, about: str) -> None:
    rounded = np.rint(np.clip(np.asarray(image.dataobj), -1024, 3071)).astype(np.int16)
    stored = nib.nifti1.Nifti1Image(rounded, image.affine)
    stored.header.set_xyzt_units("mm")
    stored.header["descrip"] = f"{about}, synthetic, for research"
    stored.set_sform(image.affine, 1)
    stored.set_qform(image.affine, 1)
    nib.save(stored, path)


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files of one CT."""
    parser = argparse.ArgumentParser(prog="python -m examples.ultrasound.planners", description=__doc__)
    parser.add_argument("ct", type=path_option, metavar="CT", help="synthetic CT in HU, NIfTI")
    parser.add_argument("out", type=path_option, metavar="OUT", help="folder to write")
    options = parser.parse_args(arguments)
    write_for_planners(options.ct, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
