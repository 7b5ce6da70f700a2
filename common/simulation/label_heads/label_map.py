"""Label maps as files: read, freed of noise, soft tissue found, with the distances that variation needs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import ConfigError, DataError
from ..grid import Volume
from .codes import BRAIN, CODE, EYE_LABEL, SOFT, VENTRICLE_LABELS, Codes, coded, inside

COARSE = 2
"""Voxels of the distance maps are so many times as large; distances are smooth."""

MARGIN = 4
"""Voxels of air around a head, so that what lies outside the map is air."""

CLOSING_MM = 5.0
"""Clefts and openings up to twice this width belong to the head: nostrils, ear canals, the mouth."""

SMOOTHING_MM = 0.6
"""Standard deviation of the vote in which neighbours outside the brain decide what a voxel is. A sheet of one voxel
keeps its own, 0.54 of the weight; a single voxel loses, with 0.16."""

NOISY = ("background", "skull", "marrow", "muscle", "mucosa", "skin", "csf")
"""Tissues that take part in the vote, next to the soft one; vessels and brain keep their voxels."""

LARGEST_VOXEL_MM = 1.5
VENTRICLE_REACH_MM = 5.0
"""[chosen] standard deviation of the Gaussian by which the widening of ventricles fades."""


@dataclass(frozen=True)
class LabelMap:
    """One head, in RAS orientation.

    Attributes:
        name: of its file.
        codes: tissue of each voxel (X, Y, Z), soft tissue as ``SOFT``, with air around the head.
        spacing: isotropic, in mm.
        brain_centre: voxel position of the middle of the brain, (3,).
        eyes: lowest and highest voxel position of the eyes, (2, 3); None where the map has none.
        under_skin: depth under the outer surface in mm, every ``COARSE`` voxels.
        from_brain: distance to the brain in mm, negative inside, every ``COARSE`` voxels.
        to_ventricles: direction into the lateral ventricles (3, ...), of length 1 at most, every ``COARSE`` voxels.
    """

    name: str
    codes: Codes
    spacing: float
    brain_centre: NDArray[np.float64]
    eyes: NDArray[np.intp] | None
    under_skin: Volume
    from_brain: Volume
    to_ventricles: NDArray[np.float32]

    def coarse_at(self, part: Volume, voxels: NDArray[Any]) -> Volume:
        """Values of a coarse map at voxel positions (3, ...)."""
        values: Volume = ndimage.map_coordinates(
            part, np.asarray(voxels, np.float32) / np.float32(COARSE), order=1, mode="nearest", output=np.float32
        )
        return values


def map_files(folder: str | Path) -> list[Path]:
    """The NIfTI files of a folder, sorted by name.

    Raises:
        ConfigError: there is no such folder, or none of its files is NIfTI.
    """
    files = sorted(path for path in Path(folder).glob("*.nii*") if path.name.endswith((".nii", ".nii.gz")))
    if not files:
        fault = f"no label maps (.nii, .nii.gz) in {folder} (from --label_maps)"
        raise ConfigError(fault, "write them as in docs/how-to/fine-tuning.md")
    return files


@functools.lru_cache(maxsize=64)
def label_map(path: Path) -> LabelMap:
    """Read and prepare a map; kept in memory, 10 to 20 MB each, in two to four seconds.

    Raises:
        DataError: the file is no map of one volume with isotropic voxels up to 1.5 mm, of known labels, with a brain.
    """
    image: Any = nib.as_closest_canonical(nib.load(path))
    size = np.asarray(image.header.get_zooms()[:3], float)
    if image.ndim != 3 or np.ptp(size) > 0.01 * size[0] or size[0] > LARGEST_VOXEL_MM:
        fault = f"{path.name} has shape {image.shape} and voxels of {size.round(3).tolist()} mm"
        raise DataError(fault, f"resample it to one volume with isotropic voxels up to {LARGEST_VOXEL_MM} mm")
    labels = np.asarray(image.dataobj).astype(np.int32)
    filled = np.argwhere(ndimage.zoom(labels > 0, 1 / COARSE, order=0)) * COARSE
    if not len(filled):
        raise DataError(f"{path.name} has no labels, zeros alone", "choose another file")
    box = tuple(
        slice(max(0, low - COARSE), high + COARSE + 1) for low, high in zip(filled.min(0), filled.max(0), strict=True)
    )
    labels = np.pad(labels[box], MARGIN)
    codes = _voted(coded(labels, path.name))
    spacing = float(size[0])
    head = _head(codes[::COARSE, ::COARSE, ::COARSE] != CODE["background"], spacing)
    codes[~_fine(ndimage.binary_dilation(head), codes.shape)] = CODE["background"]  # specks in the air
    codes[(codes == CODE["background"]) & _fine(head, codes.shape)] = CODE["sinus"]
    brain = inside(codes, *BRAIN)
    if not brain.any():
        raise DataError(f"{path.name} has no brain (labels 2, 3, 41 and 42)", "choose another file")
    corners = [np.flatnonzero(brain.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    ventricles = np.isin(labels, VENTRICLE_LABELS)
    eyes = np.argwhere(labels == EYE_LABEL)
    return LabelMap(
        path.name,
        codes,
        spacing,
        np.array([(part[0] + part[-1]) / 2 for part in corners]),
        np.stack([eyes.min(0), eyes.max(0)]) if len(eyes) else None,
        _distance(head, spacing),
        -_signed(ndimage.binary_fill_holes((brain | ventricles)[::COARSE, ::COARSE, ::COARSE]), spacing),
        _pull(ventricles[::COARSE, ::COARSE, ::COARSE], spacing),
    )


def _pull(ventricles: NDArray[np.bool_], spacing: float) -> NDArray[np.float32]:
    """Direction into the ventricles, the gradient of their blurred mask, of length 1 at most."""
    blurred = ndimage.gaussian_filter(ventricles.astype(np.float32), VENTRICLE_REACH_MM / (COARSE * spacing))
    pull = np.stack(np.gradient(blurred))
    return np.asarray(pull / max(float(np.linalg.norm(pull, axis=0).max()), 1e-6), np.float32)


def _voted(codes: Codes) -> Codes:
    """Codes after the vote of neighbours outside the brain; vessels and brain stay."""
    voters = {CODE[name] for name in NOISY} | {SOFT}
    best, winner = np.zeros(codes.shape, np.float32), codes.copy()
    for code in sorted(voters):
        votes = ndimage.gaussian_filter((codes == code).astype(np.float32), SMOOTHING_MM, truncate=2.5)
        won = votes > best
        best[won], winner[won] = votes[won], code
    fixed = ~np.isin(np.arange(256), list(voters))
    return np.where(fixed[codes], codes, winner)


def _distance(mask: NDArray[np.bool_], spacing: float) -> Volume:
    """Distance of each coarse voxel of a mask to its outside in mm."""
    depth: Volume = ndimage.distance_transform_edt(mask).astype(np.float32) * np.float32(COARSE * spacing)
    return depth


def _signed(mask: NDArray[np.bool_], spacing: float) -> Volume:
    """Signed distance to the surface of a mask on the coarse grid in mm, positive inside."""
    return np.where(mask, _distance(mask, spacing), -_distance(~mask, spacing)).astype(np.float32)


def _fine(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A coarse mask on the voxels of the map."""
    x, y, z = (np.arange(size) // COARSE for size in shape)
    fine: NDArray[np.bool_] = mask[np.ix_(x, y, z)]
    return fine


def _head(tissue: NDArray[np.bool_], spacing: float) -> NDArray[np.bool_]:
    """The largest part of a coarse mask with its cavities: closed by ``CLOSING_MM`` and filled."""
    parts, _ = ndimage.label(tissue)
    head = parts == np.bincount(parts[tissue]).argmax()
    steps = int(np.ceil(CLOSING_MM / (COARSE * spacing)))
    wide = np.pad(head, steps)
    grown = _distance(~wide, spacing) <= CLOSING_MM
    closed = (_distance(grown, spacing) > CLOSING_MM) | wide
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed[steps:-steps, steps:-steps, steps:-steps])
    return filled
