"""Extraction of square patches around the lesions of a volume."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from common.data.datalist import Item
from common.data.layouts.folders import patients_of
from common.errors import ConfigError, DataError, OutputError, some
from common.files import require_file_name
from common.grids import require_grid
from common.io.reader import NIFTI, VolumeReader, volume_path

logger = logging.getLogger(__name__)
SIZE = 64
MARGIN = 0.2
"""Margin on each side of the lesion, relative to its larger extent."""
MOST_MARGIN = 10
"""The patch is 21 lesions wide."""
MASKS = "masks"
SMALLEST = 4
"""Smallest component of a mask in pixels that counts as a lesion; smaller ones are annotation errors."""


class Roi(NamedTuple):
    """Patch (SIZE, SIZE) with the lesion's mask and its affine (RAS, mm)."""

    values: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    affine: NDArray[np.float64]


def cut_rois(volume: NDArray, affine: NDArray, mask: NDArray, margin: float = MARGIN) -> Iterator[Roi]:
    """One patch for each lesion of a mask, whatever its size: a square in mm in the axial slice of largest area.

    A lesion is a connected component; voxels that touch at a corner are connected, so that the ragged edge of a large
    lesion is not cut as further ones.

    Its side is the lesion's larger extent plus ``margin`` of it on each side. It is interpolated by cubic splines,
    with the nearest voxel outside the volume, and smoothed first if it is larger than ``SIZE`` pixels. Patches are in
    RAS orientation and in the unit of the volume; no window is applied.

    Args:
        volume: (X, Y, Z).
        affine: (4, 4), RAS, of volume and mask.
        mask: (X, Y, Z), above 0 inside.
        margin: see above.
    """
    turn = nib.orientations.io_orientation(affine)
    values = nib.orientations.apply_orientation(volume, turn)
    inside = nib.orientations.apply_orientation((mask > 0).astype(np.uint8), turn)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, volume.shape)
    components, _ = ndimage.label(inside, np.ones((3, 3, 3)))
    for number, box in enumerate(ndimage.find_objects(components), start=1):
        lesion = components[box] == number
        areas = lesion.sum(axis=(0, 1))
        if areas.max() >= SMALLEST:
            place = box[2].start + int(areas.argmax())
            yield _cut(values, components[:, :, place] == number, affine, place, margin)


def _cut(values: NDArray, lesion: NDArray, affine: NDArray, place: int, margin: float) -> Roi:
    """Patch around the lesion (X, Y) of the axial slice ``place`` of values (X, Y, Z); all in RAS orientation."""
    low, high = np.array([np.flatnonzero(lesion.any(axis=1 - axis))[[0, -1]] for axis in (0, 1)]).T + [[0], [1]]
    steps = np.linalg.norm(affine[:3, :2], axis=0)
    side = float(((high - low) * steps).max() * (1 + 2 * margin))
    pixel = side / SIZE / steps  # of the patch, in voxels of the volume
    first = (low + high - 1) / 2 - pixel * (SIZE - 1) / 2
    grid = np.meshgrid(*(first[axis] + pixel[axis] * np.arange(SIZE) for axis in (0, 1)), indexing="ij")
    plane = values[:, :, place].astype(np.float64)
    if (pixel > 1).any():
        plane = ndimage.gaussian_filter(plane, np.maximum(pixel - 1, 0) / 2)
    patch = ndimage.map_coordinates(plane, grid, order=3, mode="nearest")
    inside = ndimage.map_coordinates(lesion.astype(np.float32), grid, order=1) > 0.5
    local = np.diag([*pixel, 1.0, 1.0])
    local[:3, 3] = [*first, place]
    return Roi(patch.astype(np.float32), inside, affine @ local)


def cut_cases(
    root: str | Path,
    out: str | Path,
    classes: Sequence[str],
    source: str = "ct",
    margin: float = MARGIN,
    patient_separator: str | None = None,
    one_patient_per_file: bool = False,
    reader: VolumeReader | None = None,
) -> list[Item]:
    """Extract patches of the lesions in ``ROOT/<case>/<source>`` with the masks ``ROOT/<case>/<class>.nii.gz``.

    ``source`` is a NIfTI file or a folder with a DICOM series. Writes ``OUT/<class>/<case>_<class>_<n>.nii.gz`` in the
    volume's unit, the lesion's mask on its grid under the same name in ``OUT/<class>/masks``.

    Args:
        root: folders of cases.
        out: a folder that has no patches yet.
        classes: of lesions; a case need not have all of them.
        source: name of the volume.
        margin: see :func:`cut_rois`.
        patient_separator: the patient is the case's name before this text; or ``ROOT/patients.csv`` has it.
        one_patient_per_file: every case is its own patient.
        reader: of the volumes.

    Returns:
        items with ``case``, ``patient``, ``class``, ``image`` and ``lesion``, the mask.

    Raises:
        DataError: a case's patient is not known, a mask is on another grid, or a class has no lesions.
        ConfigError: the margin is out of range, or a class has a name that cannot be that of a folder.
        OutputError: ``out`` already holds patches.
    """
    if not 0 <= margin <= MOST_MARGIN:
        raise ConfigError(f"--margin is {margin}, not from 0 to {MOST_MARGIN}", f"give a number such as {MARGIN}")
    for name in classes:
        require_file_name(name, "--classes", error=ConfigError)
    root, out = Path(os.path.abspath(root)), Path(os.path.abspath(out))
    folders = _case_folders(root, source)
    patients = _patients(root, [folder.name for folder in folders], patient_separator, one_patient_per_file)
    if existing := [name for name in classes if (out / name).exists()]:
        raise OutputError(f"{out} already has {', '.join(existing)}", "remove them, or choose another --out")
    items, reader = [], reader or VolumeReader()
    try:
        for folder in tqdm(folders, desc="cutting", unit="case", disable=None):
            found = _case(folder, source, classes, margin, out, reader)
            items += [item | {"patient": patients[folder.name]} for item in found]
        if empty := [name for name in classes if not any(item["class"] == name for item in items)]:
            remedy = f"name masks {', '.join(f'<case>/{name}.nii.gz' for name in empty)}, or correct --classes"
            raise DataError(f"no lesions of {', '.join(empty)} in {root}", remedy)
    except BaseException:  # so that the same command may be given again
        for name in classes:
            shutil.rmtree(out / name, ignore_errors=True)
        raise
    return items


def _case(
    folder: Path, source: str, classes: Sequence[str], margin: float, out: Path, reader: VolumeReader
) -> Iterator[Item]:
    scan = reader.read(volume_path(folder, source, NIFTI)[0], folder.name)
    for name in classes:
        path = next((path for suffix in NIFTI if (path := folder / f"{name}{suffix}").is_file()), None)
        if path is None:
            continue
        mask = reader.read(path, folder.name)
        grids = mask.values.shape, mask.affine, scan.values.shape, scan.affine
        require_grid(f"{folder.name}: {name}", *grids, f"draw or resample it on the grid of {source}", source)
        (out / name / MASKS).mkdir(parents=True, exist_ok=True)
        for number, roi in enumerate(cut_rois(scan.values, scan.affine, mask.values, margin)):
            case = f"{folder.name}_{name}_{number}"
            paths = {"image": out / name / f"{case}.nii.gz", "lesion": out / name / MASKS / f"{case}.nii.gz"}
            arrays: dict[str, NDArray] = {"image": roi.values, "lesion": roi.lesion.astype(np.uint8)}
            for key, values in arrays.items():
                image = nib.Nifti1Image(values[..., None], roi.affine)
                image.header.set_xyzt_units("mm")
                nib.save(image, paths[key])
            yield {"case": case, "class": name, **{key: str(path) for key, path in paths.items()}}


def _case_folders(root: Path, source: str) -> list[Path]:
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    cases = [folder for folder in folders if volume_path(folder, source, NIFTI)]
    if not cases:
        layout = f"ROOT/<case>/{source}.nii.gz or a folder of DICOM, with masks ROOT/<case>/<class>.nii.gz"
        raise DataError(f"no cases in {root}, such as {layout}", "correct --dataset_dir or --source")
    if without := [folder.name for folder in folders if folder not in cases]:
        logger.warning(f"{root.name}: folders without {source} are skipped: {some(without)}")
    return cases


def _patients(root: Path, cases: list[str], separator: str | None, one_each: bool) -> dict[str, str]:
    if not one_each and not separator and not (root / "patients.csv").is_file():
        remedy = "add it, or pass --patient_separator, or --one_patient_per_file where every case is another patient"
        raise DataError(f"no patients.csv (case,patient) in {root}", remedy)
    return patients_of(root, cases, separator)
