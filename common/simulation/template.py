"""Average head in template coordinates: ICBM152 brain maps, and signed distances to the structures around the brain.

The brain maps ship with nilearn. The other structures follow from the distance to the brain (skull, scalp) or are
unions of ellipsoids (face, neck, orbits, air-filled cavities), so that bone, air and fat lie where a head has them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.utils import optional_import
from numpy.typing import NDArray
from scipy import ndimage

from .grid import Volume

GRID_MM = 3.0
GRID_ORIGIN = np.array([-114.0, -150.0, -132.0])
GRID_SHAPE = (77, 90, 84)
"""Coarse grid of the distance maps in template mm; they are smooth, so that 3 mm with linear interpolation suffice."""

BRAIN_FLOOR_MM = -70.0
"""Lower end of the template, in the medulla; below, its last slice continues as the spinal cord."""

CLOSING_MM = 12.0
"""Radius of the closing of the brain: the skull bridges fissures and the cleft above the cerebellum."""

CLEARANCE_MM = 5.0
"""Minimum distance of orbits, cavities and facial bones to the brain, which keeps the inner table intact."""

Ellipsoid = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Centre and radii in template mm; an ellipsoid off the midline occurs on both sides."""

FACE: Sequence[Ellipsoid] = (
    ((0, 38, -62), (66, 52, 62)),
    ((0, 80, -58), (14, 17, 20)),  # nose
    ((0, -36, -100), (62, 62, 95)),  # neck
)
CAVITIES: Sequence[Ellipsoid] = (
    ((7, 62, -62), (4, 26, 18)),  # nasal
    ((28, 53, -64), (12, 15, 14)),  # maxillary
    ((8, 50, -38), (6, 18, 9)),  # ethmoid
    ((8, 15, -42), (7, 10, 9)),  # sphenoid
    ((12, 77, -14), (10, 6, 11)),  # frontal
    ((55, -36, -50), (8, 10, 12)),  # mastoid
    ((0, 14, -100), (13, 8, 40)),  # pharynx
)
FACIAL_BONES: Sequence[Ellipsoid] = (
    ((52, 48, -52), (6, 20, 8)),  # zygoma
    ((0, 66, -84), (24, 18, 9)),  # maxilla
    ((47, 18, -88), (5, 16, 34)),  # ramus of the mandible
)
ORBITS: Sequence[Ellipsoid] = (((31, 54, -36), (18, 27, 18)),)
EYES: Sequence[Ellipsoid] = (((31, 65, -36), (12, 12, 12)),)
TEMPORALIS: Sequence[Ellipsoid] = (((66, 8, -12), (18, 38, 36)),)
TEMPORALIS_MM = 7.0
LATERAL_VENTRICLES: Sequence[Ellipsoid] = (((14, -8, 12), (20, 50, 28)),)
WALL_MM = 1.8
"""Thickness of the bone around orbits and cavities."""


@dataclass(frozen=True)
class Template:
    """Maps on the coarse grid (77, 90, 84): signed distances in mm, negative inside, unless stated otherwise."""

    brain: Volume
    """Distance to the closed envelope of brain and cord."""
    face: Volume
    cavities: Volume
    bones: Volume
    orbits: Volume
    eyes: Volume
    temporalis: Volume
    """Thickness of the temporal muscle relative to ``TEMPORALIS_MM``, 0 to 1."""
    to_ventricles: NDArray[np.float32]
    """Direction into the lateral ventricles (3, 77, 90, 84), of length 1 at most, zero far away."""
    lesion_sites: NDArray[np.float32]
    """Possible lesion sites (N, 3) in white matter, in template mm, all equally likely."""


@functools.cache
def brain_maps(blur_mm: float) -> tuple[Volume, Volume, NDArray[np.float64]]:
    """Grey and white matter fractions of the ICBM152 average at 1 mm, (197, 233, 189) each, and their affine.

    Averaging over 152 people fills the sulci with grey matter; squaring the probabilities of grey, white and neither
    opens them again. A Gaussian of ``blur_mm`` (standard deviation) prepares the maps for a coarser grid.
    """
    datasets, _ = optional_import("nilearn.datasets")  # training on one's own images does without it
    images = [datasets.load_mni152_gm_template(resolution=1), datasets.load_mni152_wm_template(resolution=1)]
    grey, white = (np.clip(image.get_fdata(dtype=np.float32), 0, 1) for image in images)
    other = np.clip(1 - grey - white, 0, 1)
    total = grey**2 + white**2 + other**2
    maps = [part**2 / total for part in (grey, white)]
    if blur_mm > 0:
        maps = [ndimage.gaussian_filter(part, blur_mm, truncate=3.0) for part in maps]
    return maps[0], maps[1], images[0].affine


def sample_brain(part: Volume, affine: NDArray[np.float64], points: NDArray[np.float32]) -> Volume:
    """Values of a 1 mm brain map at template points (3, ...) in mm; below its last slice the cord continues."""
    indices = points - affine[:3, 3].astype(np.float32).reshape(3, *[1] * (points.ndim - 1))
    floor = np.float32(BRAIN_FLOOR_MM - affine[2, 3])
    np.maximum(indices[2], floor, out=indices[2])
    values: Volume = ndimage.map_coordinates(part, indices, order=1, output=np.float32)
    return values


def ellipsoids(shapes: Sequence[Ellipsoid], points: NDArray[np.float32]) -> Volume:
    """Signed distance in mm, to first order, from points (3, ...) to a union of ellipsoids, mirrored left and right."""
    mirrored = np.stack([np.abs(points[0]), points[1], points[2]])
    distance = np.full(points.shape[1:], np.inf, np.float32)
    column = (3,) + (1,) * (points.ndim - 1)
    for centre, radii in shapes:
        scaled = (mirrored - np.reshape(centre, column)) / np.reshape(radii, column)
        radius = np.sqrt(np.sum(scaled**2, axis=0)) + 1e-6
        slope = np.sqrt(np.sum((scaled / np.reshape(radii, column)) ** 2, axis=0)) + 1e-6
        distance = np.minimum(distance, radius * (radius - 1) / slope)
    return distance.astype(np.float32)


def _signed_distance(inside: NDArray[np.bool_]) -> Volume:
    outer: NDArray[np.float64] = ndimage.distance_transform_edt(~inside)
    inner: NDArray[np.float64] = ndimage.distance_transform_edt(inside)
    return (GRID_MM * np.where(inside, 0.5 - inner, outer - 0.5)).astype(np.float32)


def _brain_envelope(tissue: Volume) -> Volume:
    """Signed distance to the brain closed by ``CLOSING_MM``, smoothed to remove the steps of voxels."""
    grown = _signed_distance(tissue > 0.4) <= CLOSING_MM
    envelope: Volume = ndimage.gaussian_filter(_signed_distance(_signed_distance(grown) <= -CLOSING_MM), 1.0)
    return envelope


def _lesion_sites(white: Volume, ventricles: Volume, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """White matter within 15 mm of the lateral ventricles, where multiple sclerosis plaques gather."""
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(ventricles < 0.3)
    near = (distance * GRID_MM < 15) & (white > 0.85) & (points[2] > -15)
    sites: NDArray[np.float32] = points[:, near].T
    return sites


def grid_points() -> NDArray[np.float32]:
    """Template coordinates of the coarse grid in mm, (3, 77, 90, 84)."""
    axes = [o + GRID_MM * np.arange(n) for o, n in zip(GRID_ORIGIN, GRID_SHAPE, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


@functools.cache
def template() -> Template:
    """The average head; built once per process in about a second."""
    points = grid_points()
    grey_map, white_map, affine = brain_maps(0.0)
    grey, white = (sample_brain(part, affine, points) for part in (grey_map, white_map))
    brain = _brain_envelope(grey + white)

    ventricles = np.where(ellipsoids(LATERAL_VENTRICLES, points) < 0, np.clip(1 - grey - white, 0, 1), 0)
    pull = np.stack(np.gradient(ndimage.gaussian_filter(ventricles, 1.3)))
    pull /= np.linalg.norm(pull, axis=0).max()

    clear = CLEARANCE_MM - brain
    cavities, orbits, eyes, bones = (
        np.maximum(ellipsoids(shapes, points), clear) for shapes in (CAVITIES, ORBITS, EYES, FACIAL_BONES)
    )
    return Template(
        brain=brain,
        face=ndimage.gaussian_filter(ellipsoids(FACE, points), 1.5),
        cavities=cavities,
        bones=np.minimum(bones, np.minimum(cavities, orbits) - WALL_MM),
        orbits=orbits,
        eyes=eyes,
        temporalis=np.clip(-ellipsoids(TEMPORALIS, points) / 12, 0, 1),
        to_ventricles=pull.astype(np.float32),
        lesion_sites=_lesion_sites(white, ventricles, points),
    )


def sample(part: Volume, points: NDArray[np.float32]) -> Volume:
    """Values of a map on the coarse grid at template points (3, ...) in mm."""
    origin = GRID_ORIGIN.astype(np.float32).reshape(3, *[1] * (points.ndim - 1))
    indices = (points - origin) / np.float32(GRID_MM)
    values: Volume = ndimage.map_coordinates(part, indices, order=1, mode="nearest", output=np.float32)
    return values
