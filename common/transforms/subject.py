"""Crop to the subject: what a field of view holds next to the head or body changes no value inside."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_numpy
from numpy.typing import NDArray
from scipy import ndimage

from ..stitching.memory import give_up
from .body import CLOSED_MM, Volume, air_threshold, coarse_and_smooth, distance_from, outline
from .loading import MASKS

AIR_MM = 6.0
"""Air around the subject, and distance from its outline up to which voxels of the source are kept."""
FACE_MM2 = 25.0
"""Area of a plane above the threshold from which on it belongs to the subject; a tip of the nose has less."""
NOISE_PERCENT, STEP = 99.9, 7
"""Percentile of the air in the box, every seventh voxel of it, below which there is noise."""
SEARCHED_MM = 20.0
"""How far around the last box the subject is searched."""
MOST_ROUNDS = 8
"""Box and threshold settle after two or three."""
LEAST_PADDING = 0.5
"""Share of the outermost voxels that one value must have to be a padding."""

Box = tuple[slice, slice, slice]
Mask = NDArray[np.bool_]


class SubjectBoxd(MapTransform, InvertibleTransform):
    """Crop volumes to the subject with a margin, and clear what lies outside it; ``Invertd`` restores the grid.

    A threshold, the outline and the box around it are computed from the first channel inside the box alone, again until
    they do not change: padding, noise, markers and another field of view around the same subject give the same box.
    Voxels further than ``AIR_MM`` from the outline, and those that the margin needs beyond the field of view, get the
    darkest value inside (see ``floor``). The given source loses its values if it has several channels. A volume without
    air around the subject keeps its field of view.

    Args:
        keys: items (C, X, Y, Z) on one grid, absent ones are skipped. The first that is there, the source, gives the
            box and is cleared; others are cropped, with their lowest value beyond the field of view, masks with 0.
        floor: percentile inside the outline to which darker voxels are raised, for images in arbitrary units, whose
            lowest value may be any; None, for quantities, keeps them, and air is 0.
    """

    def __init__(self, keys: KeysCollection, floor: float | None = 0.5) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.floor = floor

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Crop the volumes."""
        cropped = dict(data)
        source = next(self.key_iterator(cropped))
        image = cropped[source]
        spacing = np.linalg.norm(np.asarray(image.affine, float)[:3, :3], axis=0)
        first = with_dark_padding(convert_to_numpy(image[0]))
        box, body, kept = subject_in(first, spacing, AIR_MM)
        margin = np.ceil(AIR_MM / spacing - 1e-3).astype(int)  # headers round sizes
        inside: Any = tuple(slice(m, m + part.stop - part.start) for part, m in zip(box, margin, strict=True))
        shape = [part.stop + m for part, m in zip(inside, margin, strict=True)]
        for key in self.key_iterator(cropped):
            volume = cropped[key]
            made = np.empty((len(volume), *shape), first.dtype if key == source else convert_to_numpy(volume[0]).dtype)
            low = 0.0 if key in MASKS or key == source else float(volume.min())
            for number, room in enumerate(made):
                if key == source:
                    values = with_dark_padding(convert_to_numpy(image[number])) if number else first
                    floor = None
                    if self.floor is not None:
                        floor = float(np.percentile(values[box][body], self.floor, overwrite_input=True))
                    if number == len(made) - 1:
                        del body
                    room[:] = air = np.float32(floor or 0)
                    for place, part, keep in zip(room[inside], values[box], kept, strict=True):
                        np.copyto(place, part if floor is None else np.maximum(part, air), where=keep)
                    if len(made) > 1:  # the source and its part would not both be in memory
                        give_up(convert_to_numpy(image[number]))
                else:
                    room[:] = low
                    room[inside] = convert_to_numpy(volume[number])[box]
            start = [part.start - m for part, m in zip(box, margin, strict=True)]
            cropped[key] = self._placed(volume, made, start)
        return cropped

    def _placed(self, volume: MetaTensor, made: Volume, start: Sequence[int]) -> MetaTensor:
        """The part of a volume that begins at a voxel, with its affine and what the inverse needs."""
        affine = np.array(volume.affine, float)
        affine[:3, 3] += affine[:3, :3] @ start
        info = {"start": [int(each) for each in start], "shape": [int(each) for each in volume.shape[1:]]}
        part = MetaTensor(
            torch.from_numpy(made),
            affine=torch.from_numpy(affine),
            meta={key: value for key, value in volume.meta.items() if key != "affine"},
            applied_operations=list(volume.applied_operations),
        )
        return self.push_transform(part, orig_size=volume.shape[1:], extra_info=info)  # type: ignore[no-untyped-call,no-any-return]

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Volumes on the original grid; outside the box they have the median of their outermost voxels."""
        restored = dict(data)
        for key in self.key_iterator(restored):
            volume = restored[key]
            info = self.pop_transform(volume)[TraceKeys.EXTRA_INFO]
            restored[key] = _given_back(volume, info["start"], info["shape"])
        return restored


def _given_back(volume: MetaTensor, start: Sequence[int], shape: Sequence[int]) -> MetaTensor:
    """A volume (C, X', Y', Z') at its place in a grid (X, Y, Z)."""
    outer = torch.cat([volume.as_tensor().movedim(a, 1)[:, [0, -1]].flatten(1) for a in (1, 2, 3)], dim=1)
    made = outer.median(dim=1).values[:, None, None, None].expand(-1, *shape).clone()
    ends = [first + size for first, size in zip(start, volume.shape[1:], strict=True)]
    there = [slice(max(first, 0), min(end, most)) for first, end, most in zip(start, ends, shape, strict=True)]
    own = [slice(part.start - first, part.stop - first) for part, first in zip(there, start, strict=True)]
    made[:, there[0], there[1], there[2]] = volume.as_tensor()[:, own[0], own[1], own[2]]
    affine = np.array(volume.affine, float)
    affine[:3, 3] -= affine[:3, :3] @ np.asarray(start)
    meta = {key: value for key, value in volume.meta.items() if key != "affine"}
    operations = list(volume.applied_operations)
    return MetaTensor(made, affine=torch.from_numpy(affine), meta=meta, applied_operations=operations)


def subject_in(volume: Volume, spacing: NDArray[np.floating[Any]], clear_mm: float) -> tuple[Box, Mask, Mask]:
    """The tight box of the subject, the body in it, and what is within ``clear_mm`` of the body.

    Args:
        volume: (X, Y, Z) of any modality and scale, in which air is dark, see :func:`with_dark_padding`.
        spacing: of its voxels along the axes, in mm.
        clear_mm: in mm.
    """
    everything: Any = tuple(slice(0, side) for side in volume.shape)
    last, box = everything, _without_constant_planes(volume, everything)
    for _ in range(MOST_ROUNDS):
        smooth, steps = coarse_and_smooth(volume[box], spacing)
        threshold = air_threshold(smooth)
        if threshold is None:
            whole = np.ones(volume[box].shape, bool)
            return box, whole, whole
        above = smooth > threshold
        level = max(threshold, _noise(volume[box], above, steps, threshold))
        last, box = box, _tight(volume, box, (threshold, level), spacing, steps)
        if box == last:
            break
    box, sides = last, spacing * steps
    cells = np.ceil(CLOSED_MM / sides).astype(int) + 1  # for a closing at the edge of the box
    body = outline(np.pad(above, [(each, each) for each in cells]), sides)
    away = distance_from(body, sides, clear_mm)[tuple(slice(each, -each) for each in cells)]
    shape = volume[box].shape
    return box, _finer(away <= 0, steps, shape), _finer(away <= clear_mm, steps, shape)


def with_dark_padding(volume: Volume) -> Volume:
    """A volume whose padding, one value on most of its faces, is as dark as what is darkest in the rest of it.

    A padding that is a little darker stays; one far below (-32768), or within the values of the rest, as the 0 of
    z-scores, would be taken as the only air, or as tissue.
    """
    faces = np.concatenate([np.moveaxis(volume, axis, 0)[[0, -1]].ravel() for axis in range(3)])
    values, counts = np.unique(faces, return_counts=True)
    value = values[counts.argmax()]
    if counts.max() < LEAST_PADDING * faces.size:
        return volume
    padding = volume == value
    if padding.all():
        return volume
    dark, bright = np.percentile(volume[~padding], (1, 99), overwrite_input=True)
    if dark - (bright - dark) <= value <= dark:
        return volume
    if value > dark:  # tissue may have this value, too
        parts, _ = ndimage.label(padding)
        outer = np.concatenate([np.moveaxis(parts, axis, 0)[[0, -1]].ravel() for axis in range(3)])
        padding = np.isin(parts, np.unique(outer[outer > 0]))
    return np.where(padding, np.asarray(dark, volume.dtype), volume)


def _without_constant_planes(volume: Volume, box: Box) -> Box:
    """A box without the outer planes that each have one value."""
    while True:
        part, found = volume[box], []
        for axis, side in enumerate(box):
            others = tuple({0, 1, 2} - {axis})
            varied = np.flatnonzero(part.max(axis=others) > part.min(axis=others))
            if not varied.size:
                return box
            found.append(slice(side.start + int(varied[0]), side.start + int(varied[-1]) + 1))
        if tuple(found) == box:
            return box
        box = tuple(found)  # type: ignore[assignment]


def _noise(part: Volume, above: Mask, steps: NDArray[np.int_], otherwise: float) -> float:
    """Value of the brightest air in a box, whose cells above the threshold are known."""
    air = part[~_finer(_around_largest(above), steps, part.shape)][::STEP]
    return float(np.percentile(air, NOISE_PERCENT)) if air.size else otherwise


def _around_largest(above: Mask) -> Mask:
    """The largest part and two cells around it."""
    parts, count = ndimage.label(above)
    largest = parts == np.bincount(parts.ravel())[1:].argmax() + 1 if count else above
    return np.asarray(ndimage.binary_dilation(largest, iterations=2))


def _tight(volume: Volume, box: Box, levels: tuple[float, float], spacing: Volume, steps: NDArray[np.int_]) -> Box:
    """The box of the largest part above a threshold, in and around another box, to a voxel.

    Args:
        volume: (X, Y, Z).
        box: searched, with ``SEARCHED_MM`` around it.
        levels: values above which cells, and voxels, are no air.
        spacing: of the voxels, in mm.
        steps: voxels of a cell.
    """
    cells = np.ceil(SEARCHED_MM / (spacing * steps)).astype(int)
    wide = tuple(
        slice(int(side.start - step * min(cell, side.start // step)), int(side.stop + step * cell))
        for side, step, cell in zip(box, steps, cells, strict=True)
    )
    part = volume[wide]
    near = _around_largest(coarse_and_smooth(part, spacing)[0] > levels[0])
    above = _finer(near, steps, part.shape) & (part > levels[1])
    found = []
    for axis, side in enumerate(wide):
        least = FACE_MM2 * spacing[axis] / np.prod(spacing)
        held = np.flatnonzero(above.sum(axis=tuple({0, 1, 2} - {axis})) >= least)
        if not held.size:
            return box
        found.append(slice(side.start + int(held[0]), side.start + int(held[-1]) + 1))
    return tuple(found)  # type: ignore[return-value]


def _finer(cells: Mask, steps: NDArray[np.int_], shape: Sequence[int]) -> Mask:
    """A mask of cells (X', Y', Z') on voxels (X, Y, Z)."""
    for axis, (step, side) in enumerate(zip(steps, shape, strict=True)):
        cells = cells.repeat(step, axis=axis).take(range(side), axis=axis)
    return cells
