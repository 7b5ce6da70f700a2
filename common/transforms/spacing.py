"""Resampling to a working spacing, and back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Spacing, Spacingd, SpatialResample
from monai.utils import TraceKeys, ensure_tuple
from nibabel.affines import voxel_sizes
from nibabel.orientations import io_orientation
from torch import Tensor

from ..errors import ConfigError, DataError
from ..grids import is_sheared, ras_shape, respaced, show_affine
from .loading import MASKS

LINEAR = ("bilinear", "border")
"""Mode and padding of the resampling of images."""
OFF_AXIS_VOXELS = 1e-3
"""By which a place between voxels may be beside the axis of a grid that is taken as parallel to another."""


class _InvertedByAxis(SpatialResample):
    """MONAI's ``SpatialResample``, whose inverse interpolates between parallel grids along one axis after another.

    That needs no coordinates of all voxels, which take six times the memory of a volume.
    """

    def inverse(self, data: Tensor) -> Tensor:
        """A volume (C, X, Y, Z) on the grid of before."""
        done = self.get_most_recent_transform(data)
        how, shape = done[TraceKeys.EXTRA_INFO], done[TraceKeys.ORIG_SIZE]
        if not isinstance(data, MetaTensor) or data.ndim != 4 or (how["mode"], how["padding_mode"]) != LINEAR:
            return super().inverse(data)
        before = np.asarray(how["src_affine"], float)
        to_own = np.linalg.solve(np.asarray(data.affine, float), before)
        steps, starts = np.diag(to_own)[:3], to_own[:3, 3]
        if (np.abs(to_own[:3, :3] - np.diag(steps)) @ shape > OFF_AXIS_VOXELS).any():
            return super().inverse(data)
        places = [start + step * torch.arange(n) for start, step, n in zip(starts, steps, shape, strict=True)]
        self.pop_transform(data)
        values = _interpolated(data.as_tensor().float(), places)
        made = MetaTensor(values, meta=data.meta, applied_operations=data.applied_operations)
        made.affine = torch.from_numpy(before)
        return made


def _interpolated(volume: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Values of a volume (C, X, Y, Z) between its voxels, linear, a plane at a time.

    Args:
        volume: of which the outermost values go on beyond it.
        places: along each axis, in voxels.
    """
    made = volume.new_empty((len(volume), *map(len, places)))
    (low, high, share), *within = [
        _neighbours(n, at.to(volume.device)) for n, at in zip(volume.shape[1:], places, strict=True)
    ]
    for number, (first, second, part) in enumerate(zip(low.tolist(), high.tolist(), share.tolist(), strict=True)):
        plane = torch.lerp(volume[:, first], volume[:, second], part)
        for axis, (lows, highs, shares) in enumerate(within, 1):
            weights = shares if axis == 2 else shares[:, None]
            plane = torch.lerp(plane.index_select(axis, lows), plane.index_select(axis, highs), weights)
        made[:, number] = plane
    return made


def _neighbours(size: int, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The voxels on both sides of places along an axis, and the share of the second, float32."""
    inside = places.clamp(0, size - 1)
    low = inside.floor().long()
    return low, (low + 1).clamp(max=size - 1), (inside - low).float()


class _SpacingAlongOwnAxes(Spacing):
    """MONAI's ``Spacing``, on the grid of :func:`common.grids.respaced` where the axes are at right angles.

    MONAI begins its grid at a corner of the volume if that is the outermost one to 1e-8 of a voxel, and centres it
    otherwise. The affine of an oblique file is rounded to float32: whether its voxels are then averaged with their
    neighbours would be decided by the last digit of the header.
    """

    def __init__(self, pixdim: Sequence[float]) -> None:
        super().__init__(pixdim)
        self.sp_resample = _InvertedByAxis(dtype=np.float64)

    def __call__(self, data_array: torch.Tensor, **settings: Any) -> torch.Tensor:  # type: ignore[override]
        affine = np.asarray(getattr(data_array, "affine", np.eye(4)))
        if is_sheared(affine):
            return super().__call__(data_array, **settings)
        shape, placed = respaced(data_array.shape[1:], affine, self.pixdim.tolist())
        named = {name: settings[name] for name in ("mode", "padding_mode", "align_corners", "dtype", "lazy")}
        size = settings["output_spatial_shape"] or shape
        return self.sp_resample(data_array, dst_affine=torch.from_numpy(placed), spatial_size=size, **named)


class WorkingSpacingd(Spacingd):
    """Resample to a working spacing along a volume's own axes, or keep the grid; inverted by ``Invertd``.

    Args:
        keys: items (C, X, Y, Z).
        spacing: in mm along the three axes; None keeps the grid of each case, whose axes must be at right angles.
        mode: of interpolation, one for all keys or one per key; by default nearest neighbour for masks and regions,
            linear for others.
        allow_missing_keys: skip absent keys.

    Raises:
        ConfigError: for two numbers, or more than three.
        DataError: for a sheared grid that is kept.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing: Sequence[float] | None = None,
        mode: str | Sequence[str] | None = None,
        allow_missing_keys: bool = True,
    ) -> None:
        self.keeps = spacing is None
        mode = mode or ["nearest" if key in MASKS else "bilinear" for key in ensure_tuple(keys)]
        spacing = ensure_tuple(spacing or 1.0)
        if len(spacing) not in (1, 3):
            fault = f"spacing is {list(spacing)}, not three numbers in mm, or one for all axes"
            raise ConfigError(fault, "pass mm along each axis, such as [1, 1, 1]")
        super().__init__(keys, spacing, mode=mode, allow_missing_keys=allow_missing_keys)
        self.spacing_transform = _SpacingAlongOwnAxes(spacing)

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        """Resample the volumes."""
        if self.keeps:
            for key in self.key_iterator(dict(data)):
                _require_right_angles(data[key], str(data.get("case", "")), str(key))
            return dict(data)
        # Spacingd takes every key that begins with "image_" as metadata; servers add such keys with paths
        others = {key: value for key, value in data.items() if key not in self.keys}
        volumes = super().__call__({key: data[key] for key in self.keys if key in data}, lazy)
        return {**others, **volumes}

    def shape_after(self, shape: Sequence[int], affine: np.ndarray) -> tuple[int, ...]:
        """The shape of a volume (X, Y, Z) with an affine (4, 4) after it is put into RAS and resampled."""
        turned = ras_shape(tuple(shape), affine)
        if self.keeps:
            return turned
        sizes = voxel_sizes(affine)[np.argsort(io_orientation(affine)[:, 0])]
        return respaced(turned, np.diag([*sizes, 1.0]), np.broadcast_to(self.spacing_transform.pixdim, 3).tolist())[0]

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resample to the original grid."""
        return dict(data) if self.keeps else super().inverse(data)


def _require_right_angles(volume: Any, case: str, key: str) -> None:
    """Refuse a sheared grid, whose voxels a network would take as orthogonal ones."""
    affine = getattr(volume, "affine", None)
    if affine is not None and is_sheared(np.asarray(affine)):
        fault = f"{case}: {key} has axes that are not at right angles, affine {show_affine(np.asarray(affine))}"
        raise DataError(fault, "give --spacing, such as [1,1,1] mm; the result is mapped back to its grid")
