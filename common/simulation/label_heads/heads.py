"""Random individual heads: a label map, changed, deformed, turned and sampled on the grid of the phantoms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...errors import ConfigError, choose
from ...weights import checkpoints
from ..grid import CENTRE_MM, Volume, grid, node_points, smooth_noise, stretched
from ..head import Anatomy, Fractions
from ..physics import Range, drawn
from ..simulate import AverageHeads, Heads
from ..variety import Variety
from .codes import CODE, CODES, Codes
from .label_map import LabelMap, label_map, map_files
from .pathology import Pathology

WARPS_MM = ((30.0, 2.5), (14.0, 1.2))
"""Elastic warps as (smoothness, standard deviation along each axis): of lobes, then of gyri."""

POINT_SPREAD_MM = 1.0
"""Smallest width over which the labels of a voxel are averaged: that of the maps' own voxels."""

TISSUE = tuple("vessel" if name in ("artery", "vein") else name for name in CODES)
"""Tissue of each code."""


class SampledFractions(Fractions):
    """Tissue fractions of voxels as the share of points in each that are of a tissue.

    Args:
        codes: of the points of each voxel, (points, X, Y, Z), as positions in ``CODES``; an even number of points.
    """

    def __init__(self, codes: Codes) -> None:
        # a table of pairs is still small, and halves the look-ups, which take most of the time
        self._pairs = codes[0::2].astype(np.uint16) * np.uint16(len(CODES)) + codes[1::2]
        self._names = tuple(dict.fromkeys(TISSUE))

    def __getitem__(self, name: str) -> Volume:
        if name not in self._names:
            raise KeyError(name)
        return self.mean({tissue: float(tissue == name) for tissue in self._names})

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def mean(self, values: Mapping[str, float]) -> Volume:
        """Image (X, Y, Z) of one value per tissue: the mean over the points of each voxel."""
        return self.share(np.array([values[name] for name in TISSUE], np.float32))

    def share(self, table: NDArray[np.float32]) -> Volume:
        """Mean over the points of each voxel of a value for each code."""
        sums = (table[:, None] + table).ravel()
        total = np.zeros(self._pairs.shape[1:], np.float32)
        part = np.empty_like(total)
        for pairs in self._pairs:
            total += np.take(sums, pairs, out=part, mode="clip")
        total /= np.float32(2 * len(self._pairs))
        return total


@dataclass(frozen=True)
class IndividualHeads:
    """Random heads from label maps, each with its own shape, pathology and position.

    Args:
        label_maps: folder of the maps, see ``docs/how-to/fine-tuning.md``.
        part: ``training``, or ``validation`` for the maps that are kept for it, the last by name.
        validation_maps: how many are kept.
        spacings_mm: pixel spacings to draw from.
        scale: size relative to the map, along each axis.
        turn_degrees: largest rotation about each axis.
        move_mm: largest translation right, anterior, superior.
        warp: factor on the elastic warps.
        widening_mm: most by which ventricles widen to each side.
        pathology: changes of the map.

    Raises:
        ConfigError: the folder has no maps, or none are left for training; an unknown part.
    """

    label_maps: str | Path
    part: str = "training"
    validation_maps: int = 3
    spacings_mm: Sequence[float] = (1.4, 1.7, 2.0, 2.3)
    scale: Range = (0.92, 1.08)
    turn_degrees: Sequence[float] = (15.0, 8.0, 8.0)
    move_mm: Sequence[float] = (8.0, 12.0, 25.0)
    warp: float = 1.0
    widening_mm: float = 4.0
    pathology: Pathology = field(default_factory=Pathology)

    def __post_init__(self) -> None:
        if self.part not in ("training", "validation"):
            raise ConfigError(f"part is {self.part!r}", choose(("training", "validation")))
        if not self.files:
            maps = len(map_files(self.label_maps))
            fault = f"validation_maps is {self.validation_maps}, of {maps} maps: none is left for {self.part}"
            fewer = ", or in a pretraining pass --simulation::heads::validation_maps 1" if maps > 1 else ""
            raise ConfigError(fault, f"add maps{fewer}")

    @property
    def files(self) -> list[Path]:
        """The maps that heads are drawn from."""
        files = map_files(self.label_maps)
        first = len(files) - self.validation_maps
        return files[first:] if self.part == "validation" else files[: max(first, 0)]

    def held_out(self) -> IndividualHeads:
        """Heads from the maps that are kept for validation."""
        return replace(self, part="validation")

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each map that heads are drawn from, by its file's name."""
        return {path.name: checkpoints.sha256(path) for path in self.files}

    def __call__(self, rng: np.random.Generator) -> Anatomy:
        """A random head in a random position."""
        own = label_map(self.files[int(rng.integers(len(self.files)))])
        spacing = float(rng.choice(self.spacings_mm))
        points = self._points(own, rng)
        codes = self.pathology(own, rng)
        shape, affine = grid(spacing)
        voxels = np.stack([stretched(axis, shape, spacing) for axis in points])
        fractions = SampledFractions(sampled(codes, voxels, max(spacing, POINT_SPREAD_MM) / own.spacing))
        table = np.zeros((2, len(CODES)), np.float32)
        table[0, CODE["vein"]] = table[1, [CODE["vein"], CODE["artery"]]] = 1
        veins, vessels = (fractions.share(row) for row in table)
        return Anatomy(fractions, affine, spacing, veins / np.maximum(vessels, np.float32(1e-6)))

    def _points(self, own: LabelMap, rng: np.random.Generator) -> NDArray[np.float32]:
        """Voxel position in the map of each node of the field of view, (3, *NODE_SHAPE)."""
        column = (3, 1, 1, 1)
        turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * self.turn_degrees, degrees=True).as_matrix()
        scale = np.array([drawn(self.scale, place, "scale") for place in rng.random(3)])
        move = rng.uniform(-1, 1, 3) * self.move_mm
        local = node_points() - np.reshape(np.add(CENTRE_MM, move), column)
        points = np.einsum("ij,jxyz->ixyz", turn.T / scale[:, None], local)
        for smoothness, amplitude in WARPS_MM:
            points += self.warp * amplitude * np.stack([smooth_noise(rng, smoothness) for _ in range(3)])
        if rng.random() < 0.5:
            points[0] *= -1
        voxels = (points / own.spacing + own.brain_centre.reshape(column)).astype(np.float32)
        widening = rng.uniform(0, self.widening_mm) / own.spacing
        pulls = np.stack([own.coarse_at(axis, voxels) for axis in own.to_ventricles])
        widened: NDArray[np.float32] = voxels + np.float32(widening) * pulls
        return widened


def heads_of(
    label_maps: str | Path | None, stripped_probability: float = 0.0, defaced_probability: float = 0.1, **options: Any
) -> Heads:
    """Heads of individuals, or deformations of the average head where there are no label maps.

    Args:
        label_maps: folder of the maps; None for the average head.
        stripped_probability: of skull stripping.
        defaced_probability: of defacing.
        **options: further arguments that both have, such as ``spacings_mm``.
    """
    stripped, defaced = stripped_probability, defaced_probability
    if label_maps is None:
        return AverageHeads(Variety(stripped_probability=stripped, defaced_probability=defaced), **options)
    pathology = Pathology(stripped_probability=stripped, defaced_probability=defaced)
    return IndividualHeads(label_maps, pathology=pathology, **options)


def sampled(codes: Codes, voxels: NDArray[np.float32], width: float) -> Codes:
    """Codes at the eight points of a cube of half a ``width`` around each position, (8, X, Y, Z).

    Args:
        codes: of a map (X, Y, Z), with air at its ends.
        voxels: positions in the map, (3, X, Y, Z).
        width: of the average, in voxels of the map.
    """
    strides = np.array(codes.strides) // codes.itemsize
    places = []
    for axis, (size, stride) in enumerate(zip(codes.shape, strides, strict=True)):
        both = []
        for side in (-1, 1):
            position = voxels[axis] + np.float32(0.5 + side * width / 4)
            np.clip(position, 0, size - 1, out=position)
            both.append(position.astype(np.int32) * np.int32(stride))
        places.append(both)
    flat = codes.ravel()
    found = np.empty((8, *voxels.shape[1:]), np.uint8)
    for out, (x, y, z) in zip(found, product(*places), strict=True):
        np.take(flat, x + y + z, out=out, mode="clip")
    return found
