"""MR to CT of individual heads that no training saw, by contrast and slice thickness, next to one fitted line a case.

The heads are the label maps that trainings keep for validation (the last three by name). Their MR and CT are rendered
here with one set of tissue values and fixed sequences, unlike the random ones of trainings.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.metrics import air_dice, bone_dice, mae, tissue_order
from common.simulation.corruptions.intensity import blurred
from common.simulation.corruptions.noise import rician
from common.simulation.corruptions.slices import averaged
from common.simulation.ct import render_ct
from common.simulation.grid import Volume, smooth_noise, stretched
from common.simulation.head import partial_volume
from common.simulation.label_heads import IndividualHeads
from common.simulation.label_heads.label_map import map_files
from common.simulation.label_heads.pathology import Pathology
from common.simulation.physics import InvertedEcho, PulseSequence, SpinEcho
from common.simulation.simulate import filled
from common.simulation.tissues import RELAXATION
from tools.checks.findings import CheckFinding
from tools.checks.real.images import fitted, infer
from tools.checks.real.plausibility import PURE

VALIDATION_MAPS = 3
SEQUENCES: dict[str, PulseSequence] = {
    "T1": InvertedEcho(tr_ms=(2000, 2000), ti_ms=(900, 900), te_ms=(4, 4)),
    "T2": SpinEcho(tr_ms=(5000, 5000), te_ms=(100, 100)),
    "PD": SpinEcho(tr_ms=(3000, 3000), te_ms=(15, 15)),
}
SLICES_MM = ((0.7, 1), (1.5, 1), (1.0, 4))
"""Pixel size in mm, and how many pixels a slice is thick: slices of 0.7, 1.5 and 4 mm."""
WORST_HU = 130.0
"""Mean absolute error that a line of the table must stay below; the shipped weights have 92 to 108."""
NOISE, BIAS, BLUR_MM, TEXTURE = 0.02, 0.1, 0.4, 0.02
"""Noise relative to the 99th percentile of the head; standard deviations of the logarithms of the bias field and of the
proton density within tissues."""

WELL = Pathology(
    lesion_probability=0.0,
    tumour_probability=0.0,
    infarct_probability=0.0,
    haematoma_probability=0.0,
    craniotomy_probability=0.0,
    metal_probability=0.0,
    defaced_probability=0.0,
)

UNCHANGED = partial(
    IndividualHeads,
    validation_maps=0,
    scale=(1.0, 1.0),
    turn_degrees=(5.0, 5.0, 5.0),
    move_mm=(0.0, 0.0, 0.0),
    warp=0.0,
    widening_mm=0.0,
    pathology=WELL,
)
"""Heads as their maps have them, slightly turned."""


class HeadScan(NamedTuple):
    """MR and CT (in HU) of one head, (X, Y, Z), with masks of the head and of pure tissues; voxel size (3,) in mm."""

    head: str
    contrast: str
    mr: Volume
    ct: Volume
    mask: NDArray[np.bool_]
    regions: dict[str, NDArray[np.bool_]]
    spacing: NDArray[np.float64]


def scans(label_maps: Path, pixel: float, thick: int, out: Path) -> Iterator[HeadScan]:
    """Scans of each contrast of each head that is kept for validation."""
    for number, path in enumerate(map_files(label_maps)[-VALIDATION_MAPS:]):
        own = out / path.name.split(".")[0]
        own.mkdir(parents=True, exist_ok=True)
        if not (own / path.name).exists():
            (own / path.name).symlink_to(path)
        rng = np.random.default_rng(number)
        anatomy = UNCHANGED(own, spacings_mm=[pixel])(rng)
        shape = anatomy.head.shape
        ct = averaged(render_ct(anatomy, rng, noise_hu=0.0), 2, thick, thick)
        mask = filled(averaged(anatomy.head.astype(np.float32), 2, thick, thick) > 0.5)
        regions = {
            name: averaged(np.asarray(anatomy.fractions[name]), 2, thick, thick) > PURE
            for name in ("csf", "white", "grey")
        }
        bias = np.exp(np.float32(BIAS) * stretched(smooth_noise(rng, 45.0), shape, pixel))
        bias *= np.exp(np.float32(TEXTURE) * stretched(smooth_noise(rng, 8.0), shape, pixel))
        for contrast, sequence in SEQUENCES.items():
            image = partial_volume(anatomy, sequence.signals(RELAXATION, (0.5, 0.5)))
            image = averaged(blurred(image, BLUR_MM, pixel) * bias, 2, thick, thick)
            mr = rician(image, NOISE * float(np.percentile(image[mask], 99)), rng)
            yield HeadScan(own.name, contrast, mr, ct, mask, regions, np.array([pixel, pixel, thick * pixel]))


def scores(made: Volume, scan: HeadScan) -> dict[str, float]:
    """Errors of a synthetic CT inside the head, Dice of bone and air, medians of tissues; the MAE of a fitted line."""
    return {
        "line_mae": mae(fitted(scan.mr, scan.ct, scan.mask), scan.ct, scan.mask),
        "mae": mae(made, scan.ct, scan.mask),
        "bone_dice": bone_dice(made, scan.ct, scan.mask),
        "air_dice": air_dice(made, scan.ct, scan.mask),
        **tissue_order(made, scan.regions),
    }


def findings(label_maps: Path, out: Path, weights: Path) -> Iterator[CheckFinding]:
    """Infer all scans, those of one thickness by one command: a finding a contrast and thickness, of means."""
    for pixel, thick in SLICES_MM:
        own = out / f"{pixel * thick:g}_mm"
        (own / "data").mkdir(parents=True)
        found = {f"{scan.head}_{scan.contrast}": scan for scan in scans(label_maps, pixel, thick, out / "maps")}
        for name, scan in found.items():
            stored = (4000 * scan.mr / scan.mr.max()).astype(np.int16)
            nib.save(nib.nifti1.Nifti1Image(stored, np.diag([*scan.spacing, 1])), own / "data" / f"{name}.nii.gz")
        made, _ = infer("mr2ct_pix2pix", own / "data", own, weights)
        rows = pd.DataFrame([{"contrast": scan.contrast, **scores(made[name], scan)} for name, scan in found.items()])
        for contrast, row in rows.groupby("contrast", sort=False).mean().iterrows():
            shown = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
            case = f"{contrast}, slices of {pixel * thick:g} mm"
            yield CheckFinding("heads", case, shown, f"mae < {WORST_HU:g} HU", bool(row["mae"] < WORST_HU))
