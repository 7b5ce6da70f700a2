"""MR to CT and PD to T2 of individual heads that no training saw, next to one fitted line a case.

The heads are the label maps that trainings keep for validation (the last three by name). Their images are those of
:mod:`tools.checks.real.physics`, which has nothing of the simulation of trainings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.metrics import air_dice, bone_dice, mae, psnr, ssim, tissue_order
from common.transforms import head_mask
from tools.checks.findings import CheckFinding
from tools.checks.real import physics
from tools.checks.real.images import fitted, infer, standardised
from tools.checks.real.physics import CONTRASTS, NAMES, TISSUES, Volume

VALIDATION_MAPS = 3
SLICES_MM = {1: 0.85, 5: 0.7}
"""Slice thickness in mm, and the share of k-space in the plane of the slices that was measured."""
MARGIN = 12
"""Voxels of air around a head."""
PURE = 0.9
"""Of a tissue; mixtures say little about it."""
WORST_HU = {"T1": 95.0, "T2": 105.0, "PD": 83.0, "FLAIR": 125.0}
"""Mean absolute error that a line of the table must stay below: a tenth above that of the shipped weights."""
REGIONS = {"csf": ("fluid",), "white": ("white",), "grey": ("grey",)}


class HeadScan(NamedTuple):
    """MR by contrast and CT (in HU) of one head, (X, Y, Z), masks of the head and of pure tissues; voxels in mm."""

    head: str
    mr: dict[str, Volume]
    ct: Volume
    mask: NDArray[np.bool_]
    regions: dict[str, NDArray[np.bool_]]
    spacing: tuple[float, float, float]


def padded_labels(path: Path) -> NDArray[np.int32]:
    """A label map (X, Y, Z) in RAS order, cut to its head and a margin of air."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int32)
    filled = np.argwhere(labels > 0)
    labels = labels[tuple(slice(low, high + 1) for low, high in zip(filled.min(0), filled.max(0), strict=True))]
    return np.pad(labels, MARGIN)


def scans(label_maps: Path, thickness: int) -> Iterator[HeadScan]:
    """Scans of each head that is kept for validation, by slices of so many mm."""
    for number, path in enumerate(sorted(label_maps.glob("*.nii.gz"))[-VALIDATION_MAPS:]):
        rng = np.random.default_rng(number)
        codes = physics.tissues_of(padded_labels(path), rng)
        ct = physics.thick(physics.ct_of(codes, rng), thickness)
        regions = {
            name: physics.thick(physics.mixed(codes, np.float32(np.isin(NAMES, own))), thickness) > PURE
            for name, own in REGIONS.items()
        }
        mr = {}
        for contrast, signal in CONTRASTS.items():
            levels = np.array([signal(tissue) for tissue in TISSUES.values()])
            scanned = physics.scanned(physics.mixed(codes, levels), SLICES_MM[thickness], rng)
            mr[contrast] = physics.thick(scanned, thickness)
        mask = head_mask(ct, -500.0, axial=2, case=path.name)
        yield HeadScan(path.name.split(".")[0], mr, ct, mask, regions, (1.0, 1.0, float(thickness)))


def ct_scores(made: Volume, scan: HeadScan, contrast: str) -> dict[str, float]:
    """Errors of a synthetic CT inside the head, Dice of bone and air, medians of tissues; the MAE of a fitted line."""
    return {
        "line_mae": mae(fitted(scan.mr[contrast], scan.ct, scan.mask), scan.ct, scan.mask),
        "mae": mae(made, scan.ct, scan.mask),
        "bone_dice": bone_dice(made, scan.ct, scan.mask),
        "air_dice": air_dice(made, scan.ct, scan.mask),
        "csf_mae": mae(made, scan.ct, scan.regions["csf"]),
        "mae_outside": mae(made, scan.ct, ~scan.mask),
        **tissue_order(made, scan.regions),
    }


def t2_scores(made: Volume, scan: HeadScan, contrast: str) -> dict[str, float]:
    """MAE in z-scores, PSNR and SSIM of a synthetic T2, and of the source, both fitted to the truth by a line."""
    wanted = standardised(scan.mr["T2"], scan.mask)
    span = (float(wanted[scan.mask].min()), float(wanted[scan.mask].max()))
    scores = {}
    for name, image in (("line_", scan.mr[contrast]), ("", made)):
        near = fitted(image, wanted, scan.mask)
        scores[f"{name}mae"] = mae(near, wanted, scan.mask)
        scores[f"{name}psnr"] = psnr(near, wanted, scan.mask, span)
        scores[f"{name}ssim"] = ssim(near, wanted, scan.mask, span)
    return scores


def findings(label_maps: Path, out: Path, weights: Path, bundle: str = "mr2ct_pix2pix") -> Iterator[CheckFinding]:
    """Infer all scans, those of one thickness by one command: a finding a contrast and thickness, of means."""
    score, contrasts = (ct_scores, tuple(CONTRASTS)) if bundle == "mr2ct_pix2pix" else (t2_scores, ("PD",))
    for thickness in SLICES_MM:
        own = out / f"{thickness}_mm"
        (own / "data").mkdir(parents=True)
        found = {}
        for scan in scans(label_maps, thickness):
            for contrast in contrasts:
                found[f"{scan.head}_{contrast}"] = scan, contrast
                stored = (4000 * scan.mr[contrast] / scan.mr[contrast].max()).astype(np.int16)
                image = nib.nifti1.Nifti1Image(stored, np.diag([*scan.spacing, 1]))
                nib.save(image, own / "data" / f"{scan.head}_{contrast}.nii.gz")
        made, _ = infer(bundle, own / "data", own, weights)
        rows = [{"contrast": contrast, **score(made[name], scan, contrast)} for name, (scan, contrast) in found.items()]
        for contrast, row in pd.DataFrame(rows).groupby("contrast", sort=False).mean().iterrows():
            shown = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
            most = WORST_HU[str(contrast)] if score is ct_scores else row["line_mae"]
            case = f"{contrast}, slices of {thickness} mm"
            yield CheckFinding("heads", case, shown, f"mae < {most:.3g}", bool(row["mae"] < most))
