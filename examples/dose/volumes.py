"""Cases of the example: which files belong together, and their volumes on one grid, checked before any planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, some
from common.grids import is_sheared, require_grid
from common.io import VolumeReader
from common.io.dicom.reading.headers import holds_series
from common.reader_study.image_folders import find_images
from common.transforms.head import head_mask

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]
SKIN_HU = -500.0
"""Threshold of the body's contour in the real CT."""
AIR_HU = -200.0
"""A CT in HU has something below it: lung, sinuses, or the air around the body."""
AXES = "LPS"
"""Of a loaded case: towards left, posterior and superior."""


@dataclass(frozen=True)
class Case:
    """Files of a case: NIfTI files or folders of a DICOM series; None where none is given."""

    name: str
    real: Path
    synthetic: Path
    target: Path | None = None
    body: Path | None = None


@dataclass(frozen=True)
class Sphere:
    """Target in place of a file: its radius in mm, and its centre in the scanner's mm (right, anterior, superior);
    None for the middle of the body."""

    radius: float = 20.0
    centre: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Loaded:
    """Volumes of a case, (X, Y, Z) towards left, posterior and superior.

    Args:
        real: CT in HU.
        synthetic: CT in HU.
        target: voxels to be irradiated, inside ``body``.
        body: the patient's voxels.
        spacing: of the voxels in mm.
        affine: (4, 4) of the real CT's file.
    """

    real: Volume
    synthetic: Volume
    target: Mask
    body: Mask
    spacing: tuple[float, ...]
    affine: NDArray[np.float64]

    def as_stored(self, volume: Volume) -> Volume:
        """A volume with the axes of the real CT's file."""
        return apply_orientation(volume, ornt_transform(axcodes2ornt(AXES), io_orientation(self.affine)))


def find_cases(
    real: Path, synthetic: Path, target: Path | None, body: Path | None, names: Mapping[str, str | None]
) -> list[Case]:
    """The cases of two files or of two folders, which are paired by case as :mod:`common.reader_study.image_folders`
    names them; ``names`` are those of the volumes in the cases' folders, without ending, by the kind of volume.

    Raises:
        DataError: a file and a folder, or cases that occur on one side alone.
    """
    given = {"real": real, "synthetic": synthetic, "target": target, "body": body}
    several = {kind: _is_folder(path) for kind, path in given.items() if path is not None}
    if len(set(several.values())) > 1:
        mixed = ", ".join(f"--{kind} is a {'folder' if many else 'file'}" for kind, many in several.items())
        raise DataError(mixed, "pass one volume of each, or a folder of cases for each")
    if not any(several.values()):
        return [Case(real.name.split(".")[0], real, synthetic, target, body)]
    found = {kind: _listed(path, kind, names.get(kind)) for kind, path in given.items() if path is not None}
    cases = sorted(found["real"])
    for kind, listed in found.items():
        alone = sorted(listed.keys() ^ found["real"].keys() if kind == "synthetic" else set(cases) - listed.keys())
        if alone:
            fault = f"--real and --{kind} hold different cases ({some(alone)} in one of them)"
            raise DataError(fault, "give both the same cases, or name their volumes by --real_name and the like")
    return [Case(name, **{kind: listed[name] for kind, listed in found.items()}) for name in cases]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not holds_series(path)


def _listed(folder: Path, kind: str, name: str | None) -> dict[str, Path]:
    found = find_images(folder, kind, name)
    if wrong := [image.path.name for image in found if image.patches]:
        fault = f"--{kind} {folder} holds images that are not a volume of a case, such as {wrong[0]}"
        raise DataError(fault, f"store volumes by case, or pass --{kind}_name for a folder of each case")
    return {image.case: image.path for image in found}


def load(case: Case, reader: VolumeReader, sphere: Sphere) -> Loaded:
    """Read the volumes of a case, and check that a plan can be made with them.

    Args:
        case: its files.
        reader: of the files.
        sphere: the target where the case has no file of it.

    Raises:
        DataError: a file cannot be read, lies on another grid than the real CT or is no CT in HU; or the target is
            empty or leaves the body.
    """
    paths = {"real": case.real, "synthetic": case.synthetic, "target": case.target, "body": case.body}
    scans = {kind: reader.read(path, case.name) for kind, path in paths.items() if path is not None}
    real = scans["real"]
    for kind, scan in scans.items():
        own, wanted = ((each.values.shape, each.affine) for each in (scan, real))
        require_grid(f"{case.name}: {kind}", *own, *wanted, "resample it to that grid", "the real CT")
    if is_sheared(real.affine) or real.values.ndim != 3:
        kind = "sheared axes" if real.values.ndim == 3 else f"{real.values.ndim} dimensions"
        raise DataError(f"{case.name}: real has {kind}", "resample it to one volume with axes at right angles")
    for kind in ("real", "synthetic"):
        _require_hu(scans[kind].values, f"{case.name}: {kind}")
    turn = ornt_transform(io_orientation(real.affine), axcodes2ornt(AXES))
    turned = {kind: apply_orientation(scan.values, turn) for kind, scan in scans.items()}
    affine = real.affine @ nib.orientations.inv_ornt_aff(turn, real.values.shape)
    body = turned["body"] > 0 if "body" in turned else head_mask(turned["real"], SKIN_HU, 2, case.name)
    target = turned["target"] > 0 if "target" in turned else sphere_in(body, affine, sphere)
    _require_inside(target, body, case.name)
    spacing = tuple(float(step) for step in voxel_sizes(affine))
    return Loaded(turned["real"], turned["synthetic"], target, body, spacing, real.affine)


def sphere_in(body: Mask, affine: NDArray[np.float64], sphere: Sphere) -> Mask:
    """Voxels of a sphere, (X, Y, Z).

    Args:
        body: (X, Y, Z); its mean place is the centre where the sphere has none.
        affine: (4, 4) from voxels to mm.
        sphere: radius and centre in mm.
    """
    places = apply_affine(affine, np.moveaxis(np.indices(body.shape), 0, -1))
    centre = places[body].mean(axis=0) if sphere.centre is None else np.asarray(sphere.centre)
    return np.linalg.norm(places - centre, axis=-1) <= sphere.radius


def checked_sphere(radius: float, centre: Sequence[float] | None) -> Sphere:
    """A sphere of the options.

    Raises:
        ConfigError: the radius is not above 0.
    """
    if not radius > 0:
        raise ConfigError(f"--radius is {radius:g} mm, not above 0", "pass the radius of the target")
    return Sphere(radius, None if centre is None else (centre[0], centre[1], centre[2]))


def _require_hu(ct: Volume, name: str) -> None:
    low, high = float(ct.min()), float(ct.max())
    if low >= AIR_HU or high <= AIR_HU:
        fault = f"{name} has values from {low:g} to {high:g}, no CT in HU with air below {AIR_HU:g}"
        raise DataError(fault, "pass a whole CT in HU with the air around the body")


def _require_inside(target: Mask, body: Mask, case: str) -> None:
    if not target.any():
        raise DataError(f"{case}: target has no voxels", "pass a --target with voxels above 0, or raise --radius")
    if outside := int(np.count_nonzero(target & ~body)):
        fault = f"{case}: target has {outside} of {int(target.sum())} voxels outside the body"
        raise DataError(fault, "lower --radius, move --centre, or correct --target and --body")
