"""CT with contrast medium to CT without, on real scans without truth: what is removed where, in HU."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from cect2ct_rescyclegan.simulation import CectCtPair
from numpy.typing import NDArray
from scipy import ndimage

from common.io import VolumeReader
from common.simulation.label_heads import IndividualHeads
from tools.real.rows import read
from tools.real.trainings import WITHOUT_AGENT, infer

Regions = dict[str, NDArray[np.bool_]]

VESSEL_HU, VESSEL_MM = 180.0, 4.5
"""Heart and great vessels: the largest part above this value that a ball of this radius fits into."""

SOFT_HU, BRAIN_HU, SPONGY_HU, COMPACT_HU = (-150.0, 120.0), (0.0, 80.0), (120.0, 550.0), (550.0, 3000.0)
"""Soft tissue with fat, brain, and spongy and compact bone, of which the first lies in the window of the network."""

HELD_OUT_SEEDS = range(5)
APART_MM = 4.5
"""Distance of soft tissue from all that is brighter, since borders are partly vessel or bone."""


def within(ct: np.ndarray, bounds: tuple[float, float]) -> NDArray[np.bool_]:
    """Voxels with HU in an interval."""
    return np.asarray((ct >= bounds[0]) & (ct < bounds[1]))


def vessels(ct: np.ndarray, spacing: float) -> NDArray[np.bool_]:
    """Heart and great vessels of an angiography (X, Y, Z) of isotropic voxels."""
    ball = ndimage.generate_binary_structure(3, 1)
    opened = ndimage.binary_opening(ct > VESSEL_HU, ball, iterations=max(1, round(VESSEL_MM / spacing)))
    parts, count = ndimage.label(opened)
    sizes = ndimage.sum_labels(opened, parts, range(1, count + 1))
    return np.asarray(parts == 1 + int(np.argmax(sizes)))


def regions_of_angiography(ct: np.ndarray, spacing: float) -> Regions:
    """Vessels below the end of the window of the network, and soft tissue away from all that is bright."""
    bright = ndimage.binary_dilation(ct > SOFT_HU[1], iterations=max(1, round(APART_MM / spacing)))
    return {
        "heart and great vessels below 550 HU": vessels(ct, spacing) & (ct < SPONGY_HU[1]),
        "soft tissue away from them": within(ct, SOFT_HU) & ~bright,
    }


def regions_of_plain(ct: np.ndarray) -> Regions:
    """Of a head without contrast medium, where nothing should change."""
    return {
        "brain and muscle, no contrast medium": within(ct, BRAIN_HU),
        "spongy bone": within(ct, SPONGY_HU),
        "compact bone": within(ct, COMPACT_HU),
    }


def changes(scan: str, before: np.ndarray, after: np.ndarray, regions: Regions) -> list[dict[str, object]]:
    """A row a region: medians before and after, and the mean absolute change."""
    return [
        {
            "scan": scan,
            "region": name,
            "before": float(np.median(before[mask])),
            "after": float(np.median(after[mask])),
            "change": float(np.abs(after[mask] - before[mask]).mean()),
        }
        for name, mask in regions.items()
    ]


def table(data: Path, out: Path, weights: Path) -> str:
    """Infer both scans; a line a region."""
    scan = VolumeReader().read(data / "totalsegmentator" / "cta_thorax.nii.gz", "cta_thorax")
    spacing = float(np.linalg.norm(scan.affine[:3, 0]))
    ct, made = _inferred(scan.values, scan.affine, out / "cta", weights)
    rows = changes("angiography of the thorax", ct, made, regions_of_angiography(ct, spacing))
    with zipfile.ZipFile(data / "dicom" / "ct_head_gantry_tilt.zip") as archive:
        archive.extractall(out / "tilted")
    scan = VolumeReader(resample_tilt=True).read(out / "tilted", "ct_head_gantry_tilt")
    ct, made = _inferred(scan.values, scan.affine, out / "head", weights)
    rows += changes("head, gantry tilt", ct, made, regions_of_plain(ct))
    return f"CT with to without contrast medium, HU\n{pd.DataFrame(rows).round(1).to_string(index=False)}"


def held_out(label_maps: Path, out: Path, weights: Path) -> str:
    """Mean absolute errors in simulated heads that no training saw, copying beside the weights; a line a head."""
    heads = IndividualHeads(label_maps, part="validation", spacings_mm=[1.0])
    simulate = CectCtPair(tissue_hu={}, shared_noise=True, heads=heads)
    rows = []
    for seed in HELD_OUT_SEEDS:
        case = simulate(seed)
        affine = np.diag([*case["spacing"], 1.0])
        _, made = _inferred(case["image"], affine, out / f"simulated_{seed}", weights)
        row: dict[str, object] = {"head": seed}
        regions = {"vessels": case["vessel"] > 0, "outside": (case["mask"] > 0) & (case["vessel"] == 0)}
        for region, mask in regions.items():
            for name, image in (("copying", case["image"]), ("weights", made)):
                row[f"{region}, {name}"] = float(np.abs(image[mask] - case["label"][mask]).mean())
        rows.append(row)
    return f"simulated heads of held-out label maps, error in HU\n{pd.DataFrame(rows).round(1).to_string(index=False)}"


def _inferred(values: np.ndarray, affine: np.ndarray, out: Path, weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """A scan and its synthetic CT, both (X, Y, Z) in RAS orientation."""
    out.mkdir(parents=True)
    source = out / "cect.nii.gz"
    nib.save(nib.nifti1.Nifti1Image(values, affine), source)
    return read(source), infer(WITHOUT_AGENT, source, out, weights)[0]
