"""MR to CT of individual heads that no training saw, by contrast and slice thickness, beside one fitted line a case.

The heads are the label maps that trainings keep for validation (the last three by name). Their MR and CT are rendered
here with one set of tissue values and fixed sequences, none of which is drawn as in trainings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.evaluation.report import Panel, Report, summarise, write_report
from common.io.export.outputs import MANIFEST_NAME
from common.io.export.verdicts import QUALITY, VERDICTS
from common.metrics import air_dice, bone_dice, mae, tissue_order
from common.simulation.ct import render_ct
from common.simulation.grid import Volume, smooth_noise, stretched
from common.simulation.head import partial_volume
from common.simulation.label_heads import IndividualHeads
from common.simulation.label_heads.label_map import map_files
from common.simulation.label_heads.pathology import Pathology
from common.simulation.physics import InvertedEcho, PulseSequence, SpinEcho
from common.simulation.sampling import averaged
from common.simulation.scanner import blurred, rician
from common.simulation.simulate import filled
from common.simulation.tissues import RELAXATION
from common.weights.info import bundle_metadata
from tools.real.plausibility import PURE
from tools.real.rows import fitted, read
from tools.real.trainings import BUNDLES, TO_CT, inferred

VALIDATION_MAPS = 3
SEQUENCES: dict[str, PulseSequence] = {
    "T1": InvertedEcho(tr_ms=(2000, 2000), ti_ms=(900, 900), te_ms=(4, 4)),
    "T2": SpinEcho(tr_ms=(5000, 5000), te_ms=(100, 100)),
    "PD": SpinEcho(tr_ms=(3000, 3000), te_ms=(15, 15)),
}
SLICES_MM = ((0.7, 1), (1.5, 1), (1.0, 4))
"""Pixel size in mm, and how many pixels a slice is thick: slices of 0.7, 1.5 and 4 mm."""

METHOD = "synthetic"
SHOWN_HU = (-1000.0, 1500.0)
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


class Scan(NamedTuple):
    """MR and CT (in HU) of one head, (X, Y, Z), with masks of the head and of pure tissues; voxel size (3,) in mm."""

    head: str
    contrast: str
    mr: Volume
    ct: Volume
    mask: NDArray[np.bool_]
    regions: dict[str, NDArray[np.bool_]]
    spacing: NDArray[np.float64]


def scans(label_maps: Path, pixel: float, thick: int, out: Path) -> Iterator[Scan]:
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
            mr = rician(image, rng, NOISE * float(np.percentile(image[mask], 99)))
            yield Scan(own.name, contrast, mr, ct, mask, regions, np.array([pixel, pixel, thick * pixel]))


def scores(made: Volume, scan: Scan) -> dict[str, float]:
    """Errors of a synthetic CT inside the head, Dice of bone and air, medians of tissues; the MAE of a fitted line."""
    order = tissue_order(made, scan.regions)
    return {
        "line_mae": mae(fitted(scan.mr, scan.ct, scan.mask), scan.ct, scan.mask),
        "mae": mae(made, scan.ct, scan.mask),
        "bone_dice": bone_dice(made, scan.ct, scan.mask),
        "air_dice": air_dice(made, scan.ct, scan.mask),
        **order,
    }


def panel(made: Volume, scan: Scan) -> Panel:
    """A picture of a synthetic CT: MR, it, the true CT, their difference."""
    x, y, z = (float(size) for size in scan.spacing)
    case = f"{scan.head}, {scan.contrast}, slices of {z:g} mm"
    return Panel(
        case=case,
        method=METHOD,
        source=scan.mr,
        synthetic=made,
        truth=scan.ct,
        mask=scan.mask,
        spacing=(x, y, z),
        source_unit="a.u.",
        unit="HU",
        window=SHOWN_HU,
    )


class Judged(NamedTuple):
    """A scan, the synthetic CT of it (X, Y, Z) in HU, its scores, and what the weights say of it without the truth."""

    scan: Scan
    made: Volume
    scores: dict[str, float]
    told: Mapping[str, float] = MappingProxyType({})


def verdict_of(told: Mapping[str, Any]) -> dict[str, float]:
    """1 for the verdict of a case of a manifest among all three; empty where it has none."""
    return {verdict: float(verdict == told[QUALITY]["verdict"]) for verdict in VERDICTS if QUALITY in told}


def judged(label_maps: Path, slices: Sequence[tuple[float, int]], out: Path, weights: Path) -> Iterator[Judged]:
    """Infer all scans with these slices, those of one thickness by one command."""
    for pixel, thick in slices:
        own = out / f"{pixel * thick:g}_mm"
        (own / "data").mkdir(parents=True)
        found = {f"{scan.head}_{scan.contrast}": scan for scan in scans(label_maps, pixel, thick, out / "maps")}
        for name, scan in found.items():
            stored = (4000 * scan.mr / scan.mr.max()).astype(np.int16)
            nib.save(nib.nifti1.Nifti1Image(stored, np.diag([*scan.spacing, 1])), own / "data" / f"{name}.nii.gz")
        made, _ = inferred(TO_CT, own / "data", own, weights)
        written = next(iter(made.values())).parent / MANIFEST_NAME
        manifest = {each["case"]: each for each in json.loads(written.read_text())} if written.is_file() else {}
        for name, scan in found.items():
            image = read(made[name])
            yield Judged(scan, image, scores(image, scan), verdict_of(manifest.get(name, {})))


def table(label_maps: Path, out: Path, page: Path, weights: Path) -> str:
    """Infer all scans: a line a contrast and thickness, of means.

    The page has a picture of the scan with the largest MAE of each line.
    """
    rows = []
    worst: dict[tuple[str, float], tuple[float, Panel]] = {}
    for scan, made, found, told in judged(label_maps, SLICES_MM, out, weights):
        line = scan.contrast, float(scan.spacing[2])
        rows.append({"contrast": line[0], "slices_mm": line[1], **found, **told})
        if line not in worst or found["mae"] > worst[line][0]:
            worst[line] = found["mae"], panel(made, scan)
    _write_page(page, [picture for _, picture in worst.values()], [error for error, _ in worst.values()])
    scored = pd.DataFrame(rows)
    shown = scored.groupby(["contrast", "slices_mm"], sort=False).mean().round(2).to_string()
    return f"MR to CT, {VALIDATION_MAPS} heads that no training saw, HU\n{shown}\npictures: {page}"


def _write_page(path: Path, pictures: Sequence[Panel], errors: Sequence[float]) -> None:
    rows = [{"case": one.case, "method": one.method, "mae": mae} for one, mae in zip(pictures, errors, strict=True)]
    report = Report(
        title="MR to CT of heads that no training saw: the worst case of each contrast and thickness",
        bundle=TO_CT.bundle,
        version=bundle_metadata(BUNDLES / TO_CT.bundle)["version"],
        unit="HU",
        value_range=(-1024.0, 3000.0),
        mask_description="head with its cavities",
        rows=rows,
        summary=summarise(rows),
        panels=pictures,
        notes=("Simulated scans of label maps. Not for clinical use.",),
        reference=METHOD,
    )
    write_report(path, report)
