"""Small volumes with values of their own in every voxel: outputs in each format, and what other software writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from dicom_phantom import LPS_TO_RAS, OBLIQUE, Grid, changing, write_series
from nibabel.affines import apply_affine

from common.io import VolumeReader
from common.io.export import VolumeExporter
from common.transforms import LoadVolumed
from tools.docs.readers import ALL, RIGHT, SHEARED

SHAPE, SPACING = (11, 13, 9), (0.9, 1.4, 2.6)
STRAIGHT = Grid(SHAPE, SPACING, OBLIQUE)
MIRRORED = Grid(SHAPE, SPACING, OBLIQUE, step=tuple(-STRAIGHT.lps[:3, 2]))
TILTED = Grid(SHAPE, SPACING, step=(0, 0.7, 2.6))
TURN = nib.eulerangles.euler2mat(0.2, -0.3, 0.4) @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
"""Axes towards superior, left and posterior, none along an axis of the patient."""
AFFINES = {
    "oblique": TURN * SPACING,
    "left-handed": TURN @ np.diag([-1, 1, 1]) * SPACING,
    SHEARED: TURN @ np.array([[1, 0, 0], [0, 1, 0.25], [0, 0, 1]]) * SPACING,
}
"""Of NIfTI sources, to RAS mm; the sheared one is a tilted gantry's."""
SERIES = {"series": STRAIGHT, "tilted": TILTED}
OUTPUTS = {
    "NIfTI": ("nifti", "CT", "HU"),
    "MetaImage": ("mha", "CT", "HU"),
    "NRRD": ("nrrd", "CT", "HU"),
    "CT": ("dicom", "CT", "HU"),
    "MR": ("dicom", "MR", "a.u."),
    "PET": ("dicom", "PT", "DVR"),
}
"""Arguments of the exporter: format, modality, unit."""


@dataclass(frozen=True)
class Sample:
    """Three voxels of a volume: ``points`` (3, 3) in LPS mm, ``values``, of which a stored step is ``step``."""

    path: Path
    points: np.ndarray
    values: np.ndarray
    step: float = 1.0

    def outcome(self, points: np.ndarray, values: np.ndarray, per_step: bool = False) -> str:
        """What was found next to the points: ``right``, or else; ``per_step``: values are stored numbers."""
        away = np.abs(np.asarray(points) - self.points).max()
        found = np.array([np.nan if value is None else value for value in values])
        error = np.abs(found * (self.step if per_step else 1) - self.values).max()
        if away < 1e-3 and error < 1e-3:
            return RIGHT
        return f"wrong: {away:.3g} mm away, {found.tolist()}, not {self.values.tolist()}"


def sample_of(path: Path, affine: np.ndarray, values: np.ndarray, step: float = 1.0) -> Sample:
    """That of a volume with this affine (4, 4) to RAS mm."""
    x, y, z = values.shape
    voxels = np.array([[1, 2, 3], [x - 1, 0, z - 2], [4, y - 1, 0]])
    return Sample(path, apply_affine(LPS_TO_RAS @ affine, voxels), values[tuple(voxels.T)], step)


def numbered(shape: tuple[int, ...], first: int) -> np.ndarray:
    return first + np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


def outputs(folder: Path) -> Iterator[tuple[str, str, Sample]]:
    """Every kind of output, from every source: kind, source, the volume."""
    for source in (*AFFINES, *SERIES):
        given = folder / source
        if source in SERIES:
            write_series(given, SERIES[source], "MR")
        else:
            given = folder / f"{source}.nii"
            affine = nib.affines.from_matvec(AFFINES[source], [12.5, -31.25, 40.0])
            nib.save(nib.Nifti1Image(numbered(SHAPE, 0).astype(np.float32), affine), given)
        for kind in ("NIfTI",) if source == SHEARED else ALL:
            yield SHEARED if source == SHEARED else kind, source, _output(given, kind, folder)


def _output(given: Path, kind: str, folder: Path) -> Sample:
    output_format, modality, unit = OUTPUTS[kind]
    weights = folder / "model.pt"
    weights.write_bytes(b"weights")
    reader = VolumeReader(resample_tilt=True)
    case = given.name.partition(".")[0]
    item = LoadVolumed("image", reader)({"case": case, "image": str(given)})
    values = numbered(item["image"].shape[1:], -990 if modality == "CT" else 10)
    made = (str(folder / kind), "made", modality, unit, "mr2ct 1.2.3", str(weights), output_format)
    exporter = VolumeExporter(*made, reader=reader)
    path = exporter.write(item, values)
    step = json.loads(exporter.sidecar(case).read_text()).get("UnitPerStoredStep", 1.0)
    return sample_of(path, np.asarray(item["image"].affine), np.rint(values / step) * step, step)


def given_volumes(folder: Path) -> dict[str, tuple[dict[str, str], Sample]]:
    """What other software gets to write: a NIfTI file and a series of one volume, right- and left-handed."""
    found = {}
    for name, grid in (("right-handed", STRAIGHT), ("left-handed", MIRRORED)):
        values = numbered(SHAPE, -990)
        nifti, series = folder / f"{name}.nii", folder / name
        nib.save(nib.Nifti1Image(values.astype(np.int16), grid.affine), nifti)
        more = changing(PatientSex="O", ReferringPhysicianName="", SeriesDate="", SeriesTime="")
        write_series(series, grid, "CT", 1, -1024, more, values=values)
        found[name] = {"nifti": str(nifti), "series": str(series)}, sample_of(nifti, grid.affine, values)
    return found
