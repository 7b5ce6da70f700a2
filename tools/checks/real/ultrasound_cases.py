"""Cases of heads that no training saw: MR and CT by other equations than those of trainings, and targets.

    python -m tools.checks.real.ultrasound_cases LABEL_MAPS OUT [--contrast T1 T2 PD]

writes for each head and contrast OUT/CASE/{mr,ct,synthetic,line}.nii.gz and targets.json, and skull.csv with the
measures of all. Images are those of ``tools.checks.real.physics``, CTs by the shipped weights of ``mr2ct_pix2pix``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import exit_code_of_user_errors, path_option
from common.metrics import mae, skull_scores
from common.weights.shipped import shipped_weights
from tools.checks.real.heads import HeadScan, padded_labels, scans
from tools.checks.real.images import fitted, infer
from tools.repository import ROOT

THALAMUS, HIPPOCAMPUS, CORTEX, CEREBRUM = (10, 49), (17, 53), (3, 42), (2, 3, 41, 42)
"""Labels by FreeSurfer."""
MOTOR = (0.76, 0.48, 0.79)
"""Hand area of the right motor cortex in the box of the cerebrum: from its left, posterior and lower side. [chosen]
MNI (37, -21, 54) in the box of the MNI152 cerebrum."""
WEIGHTS = shipped_weights(ROOT / "bundles" / "mr2ct_pix2pix")


def targets_of(labels: NDArray[np.integer]) -> dict[str, list[float]]:
    """Voxel positions of the targets on the right side of a label map (X, Y, Z) in RAS order.

    ``m1`` is the cortex next to a place of the cerebrum's box, ``vim`` the lower posterior part of the thalamus,
    ``hippocampus`` the middle of its own.
    """
    box = np.argwhere(np.isin(labels, CEREBRUM))
    low, high = box.min(0), box.max(0)
    cortex = np.argwhere(np.isin(labels, CORTEX))
    motor = cortex[np.linalg.norm(cortex - (low + np.array(MOTOR) * (high - low)), axis=1).argmin()]
    thalamus, hippocampus = (_right(np.argwhere(np.isin(labels, own))) for own in (THALAMUS, HIPPOCAMPUS))
    vim = [np.median(thalamus[:, 0]), *np.percentile(thalamus[:, 1:], 35, axis=0)]
    return {"m1": motor.tolist(), "vim": [float(each) for each in vim], "hippocampus": hippocampus.mean(0).tolist()}


def _right(places: NDArray[np.intp]) -> NDArray[np.intp]:
    return places[places[:, 0] > np.median(places[:, 0])]


def write_case(folder: Path, scan: HeadScan, contrast: str, made: NDArray[np.float32], labels: NDArray) -> dict:
    """The volumes of a case in RAS mm, and its measures by the synthetic CT and the line."""
    affine = np.diag([*scan.spacing, 1.0])
    volumes = {"mr": scan.mr[contrast], "ct": scan.ct, "synthetic": made}
    volumes["line"] = np.where(scan.mask, fitted(scan.mr[contrast], scan.ct, scan.mask), -1000)
    folder.mkdir(parents=True)
    for name, volume in volumes.items():
        nib.save(nib.nifti1.Nifti1Image(volume.astype(np.float32), affine), folder / f"{name}.nii.gz")
    nib.save(nib.nifti1.Nifti1Image(scan.mask.astype(np.uint8), affine), folder / "mask.nii.gz")
    (folder / "targets.json").write_text(json.dumps(targets_of(labels), indent=2))
    measured = {name: skull_scores(volumes[name], scan.ct, scan.mask, affine) for name in ("synthetic", "line")}
    line = {f"line_{name}": value for name, value in measured["line"].items()}
    own = {"case": folder.name, "mae": mae(made, scan.ct, scan.mask)}
    return own | measured["synthetic"] | line


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Write all cases."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks.real.ultrasound_cases", description=__doc__)
    parser.add_argument("label_maps", type=path_option, help="folder of label maps; the last three are taken")
    parser.add_argument("out", type=path_option, help="folder to write")
    parser.add_argument("--contrast", nargs="+", default=["T1", "T2", "PD"], help="of the MR (default: all three)")
    options = parser.parse_args(arguments)
    maps = {path.name.split(".")[0]: path for path in options.label_maps.glob("*.nii.gz")}
    rows = []
    for scan in scans(options.label_maps, 1):
        data = options.out / "work" / scan.head / "data"
        data.mkdir(parents=True)
        for contrast in options.contrast:
            stored = (4000 * scan.mr[contrast] / scan.mr[contrast].max()).astype(np.int16)
            nib.save(nib.nifti1.Nifti1Image(stored, np.eye(4)), data / f"{scan.head}_{contrast}.nii.gz")
        made, _ = infer("mr2ct_pix2pix", data, data.parent, WEIGHTS)
        labels = padded_labels(maps[scan.head])
        for contrast in options.contrast:
            name = f"{scan.head}_{contrast}"
            rows.append(write_case(options.out / name, scan, contrast, made[name], labels))
            pd.DataFrame(rows).to_csv(options.out / "skull.csv", index=False)
    print(pd.DataFrame(rows).round(3).T.to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
