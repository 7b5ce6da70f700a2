"""Cases of ``ldct_wgan_vgg`` from four real CT: each in turn is evaluated, the others are trained on; or all are.

The lowest slices of a scan that is trained on are its validation. Coarser copies, means of blocks of voxels, add voxel
sizes. Photons are such that half of the dose adds the noise that the scan has. The slices of the head are stacked as
they are, without their tilt: resampling would smooth their noise.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import nibabel as nib
import numpy as np
from ldct_wgan_vgg.low_dose import write_pair
from nibabel.nifti1 import Nifti1Image
from pydicom import dcmread
from pydicom.pixels import apply_modality_lut

from common.files import write_text
from common.io import VolumeReader
from common.simulation.corruptions.low_dose import LowDose
from common.simulation.ct import CT_RANGE_HU
from tools.checks.train_weights.written_case import write_case

SCANS = {
    "abdomen": ("totalsegmentator/example_ct.nii.gz", 1.0e5, [(1, 1, 1)]),
    "cta": ("totalsegmentator/cta_thorax.nii.gz", 3.0e4, [(1, 1, 1), (2, 2, 2)]),
    "chest": ("lidc/chest_ct.nii.gz", 2.0e5, [(1, 1, 1), (2, 2, 2), (4, 4, 3)]),
    "head": ("dicom/ct_head_gantry_tilt.zip", 7.0e6, [(1, 1, 1), (2, 2, 1)]),
}
"""File, photons and blocks of the copies of each scan."""
ALL = "all"
"""Name of the datalist that trains on each scan and evaluates none: for weights that are shipped."""
LOWEST, GAP, SLICES = 10, 2, {"training": 24, "validation": 10, "test": 48}
"""The lowest slices, which are not trained on, the gap above them, and the most slices of a case."""
DOSES = {"training": (0.6, 0.15, 0.04, 0.3, 0.9, 0.08), "validation": (0.2,), "test": (0.5, 0.25, 0.1, 0.05)}


def write_cases(data: Path, out: Path) -> None:
    """Write a pair for each copy and dose that ``out`` lacks, and ``<scan>.json`` for each evaluated scan and ALL."""
    out.mkdir(parents=True, exist_ok=True)
    lists: dict[str, dict[str, list[dict[str, str]]]] = {scan: {part: [] for part in DOSES} for scan in (*SCANS, ALL)}
    for scan, (file, photons, blocks) in SCANS.items():
        image = stacked(data / file) if file.endswith(".zip") else nib.nifti1.load(data / file)
        image = nib.funcs.as_closest_canonical(image)
        for block in blocks:
            copy = coarser(image, block)
            for part in DOSES if block == (1, 1, 1) else ("training",):
                for dose, first in zip(DOSES[part], first_slices(copy.shape[2], part, block[2]), strict=True):
                    case = f"{scan}_{part}_{block[0]}_{dose:g}"
                    cut = copy.slicer[:, :, first : first + SLICES[part]]
                    write = partial(write_pair, low_dose=LowDose(dose, photons), seed=0, reader=VolumeReader())
                    write_case(out / case, {"image": cut}, write)
                    item = {"case": case, "image": f"{case}/ldct.nii.gz", "label": f"{case}/ndct.nii.gz"}
                    for fold in (each for each in lists if (each == scan) is (part == "test")):
                        lists[fold][part].append(item)
    for scan, sections in lists.items():
        write_text(out / f"{scan}.json", json.dumps(sections, indent=1) + "\n")


def first_slices(slices: int, part: str, thickness: int) -> list[int]:
    """The first slice of each dose: trained on from above the validation to the top, evaluated in the middle."""
    if part != "training":
        return [0 if part == "validation" else max(0, slices - SLICES[part]) // 2] * len(DOSES[part])
    lowest = -(-(LOWEST + GAP) // thickness)
    return [int(first) for first in np.linspace(lowest, max(lowest, slices - SLICES[part]), len(DOSES[part]))]


def stacked(archive: Path) -> Nifti1Image:
    """The axial slices of a zipped series from foot to head, no lower than -1024 HU, as if they were evenly spaced."""
    with ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.endswith(".dcm")]
        slices = sorted((dcmread(files.open(name)) for name in names), key=lambda each: each.ImagePositionPatient[2])
    values = np.stack([apply_modality_lut(each.pixel_array, each).T for each in slices], axis=2)
    heights = [float(each.ImagePositionPatient[2]) for each in slices]
    rows, columns = slices[0].PixelSpacing
    affine = np.diag([-columns, -rows, (heights[-1] - heights[0]) / (len(heights) - 1), 1])
    return Nifti1Image(np.maximum(values, CT_RANGE_HU[0]).astype(np.int16), affine)


def coarser(image: Nifti1Image, block: tuple[int, int, int]) -> Nifti1Image:
    """Means over blocks of voxels (X, Y, Z); what does not fill a block is cut off."""
    shape = [size // step for size, step in zip(image.shape, block, strict=True)]
    whole = image.get_fdata(dtype=np.float32)[tuple(slice(n * b) for n, b in zip(shape, block, strict=True))]
    split = whole.reshape([part for pair in zip(shape, block, strict=True) for part in pair])
    affine = image.affine @ np.diag([*block, 1])
    affine[:3, 3] += image.affine[:3, :3] @ (np.array(block) - 1) / 2
    return Nifti1Image(split.mean((1, 3, 5)), affine)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.checks.train_weights.low_dose", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the scans")
    parser.add_argument("out", type=Path, help="folder of the pairs and the datalists")
    given = parser.parse_args()
    write_cases(given.data, given.out)
