"""Misregistration on purpose, for simulations: a volume shifted and warped by a stated amount."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import ConfigError, DataError
from ...seeds import derive
from ...transforms.loading import MASKS
from ..grid import NODE_MM, NODE_SHAPE, random_direction, smooth_noise

LARGEST_WARP = 0.5
"""Of a warp and its smoothness. Slopes of the field then have a standard deviation of at most 0.2: nothing folds."""


class Misregisterd(MapTransform):
    """Shift and warp a volume, and what belongs to it, against the others of its case.

    The displacement is a function of ``seed`` and the name of the case alone: a misregistration belongs to a case and
    is the same in every epoch. It is drawn in mm, right, anterior and superior, around the middle of the volume: grids
    of another spacing or orientation get the same. ``shift`` is the length of a translation in a random direction; a
    case keeps its direction at every length. ``warp`` is the root mean square length, over the voxels of the volume, of
    a random smooth displacement with a mean of 0. With both 0 the volumes are left alone.

    Volumes are interpolated linearly, which blurs, as does the resampling after a registration; masks and regions by
    the nearest voxel. What comes from outside is the minimum of the channel, which is background, and 0 in masks.
    Affine and shape stay, as in a pair whose misregistration nobody knows.

    Args:
        keys: of the volumes (C, X, Y, Z) to be moved together, with an affine to RAS mm.
        shift: in mm.
        warp: in mm.
        smoothness: standard deviation in mm of the Gaussian that smooths the warp; 30 moves lobes.
        seed: of all cases.
        allow_missing_keys: skip absent keys.

    Raises:
        ConfigError: for a negative or infinite amount, a smoothness below the 5 mm between the nodes of the field, or a
            warp above half of it, which might fold.
        DataError: for an item without ``case``, or a volume without an affine.
    """

    def __init__(
        self,
        keys: KeysCollection,
        shift: float,
        warp: float = 0.0,
        smoothness: float = 30.0,
        seed: int = 0,
        allow_missing_keys: bool = True,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        for name, amount in {"shift": shift, "warp": warp}.items():
            if not 0 <= amount < math.inf:
                raise ConfigError(f"{name} is {amount}, not 0 or more mm", "pass a number such as 2.0, or 0 for none")
        if not NODE_MM <= smoothness < math.inf:
            raise ConfigError(f"smoothness is {smoothness}, not {NODE_MM:g} or more mm", "pass a number such as 30")
        if warp > LARGEST_WARP * smoothness:
            fault = f"warp is {warp} mm, over {LARGEST_WARP:g} of its smoothness ({smoothness:g} mm), and might fold"
            raise ConfigError(fault, "lower it, or raise smoothness")
        self.shift, self.warp, self.smoothness, self.seed = float(shift), float(warp), float(smoothness), seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move the volumes."""
        moved = dict(data)
        if not self.shift and not self.warp:
            return moved
        if not data.get("case"):
            raise DataError("an item has no case, by whose name its misregistration is drawn", "add its key case")
        case = str(data["case"])
        for key in self.key_iterator(moved):
            volume, is_mask = moved[key], key in MASKS
            if not hasattr(volume, "affine"):
                remedy = "load it by LoadVolumed, before it becomes a plain tensor"
                raise DataError(f"{case}: {key} has no affine, which scales millimetres to voxels", remedy)
            displacement = self.displacement(case, tuple(volume.shape[1:]), np.asarray(volume.affine, dtype=float))
            channels = np.stack([_moved(np.asarray(part), displacement, is_mask) for part in volume])
            moved[key] = convert_to_dst_type(torch.from_numpy(channels), volume)[0]
        return moved

    def displacement(self, case: str, shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The displacement of each voxel of a case in voxels, (3, X, Y, Z).

        Args:
            case: its name.
            shape: of the grid, (X, Y, Z).
            affine: of the grid to RAS mm, (4, 4).
        """
        rng = np.random.default_rng(derive(self.seed, *case.encode()))
        axes = affine[:3, :3]
        millimetres = np.zeros((3, *shape)) + np.reshape(random_direction(rng, self.shift), (3, 1, 1, 1))
        if self.warp:
            warp = np.stack([_on_grid(smooth_noise(rng, self.smoothness), shape, axes) for _ in range(3)])
            warp -= warp.mean(axis=(1, 2, 3), keepdims=True)
            millimetres += self.warp / math.sqrt(np.mean(np.sum(warp**2, axis=0))) * warp
        voxels: NDArray[np.float64] = np.einsum("ij,jxyz->ixyz", np.linalg.inv(axes), millimetres)
        return voxels


def _on_grid(nodes: NDArray[np.float32], shape: tuple[int, ...], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate a field from nodes to voxels of a grid with the same centre; beyond the nodes it stays as at the end.

    Args:
        nodes: values at the nodes.
        shape: of the grid, (X, Y, Z).
        axes: steps of a voxel along each axis of the grid, in mm, as columns (3, 3).
    """
    step = axes / NODE_MM
    first = (np.array(NODE_SHAPE) - 1) / 2 - step @ (np.array(shape) - 1) / 2
    field: NDArray[np.float64] = ndimage.affine_transform(
        nodes.astype(float), step, first, shape, order=1, mode="nearest"
    )
    return field


def _moved(channel: NDArray[Any], displacement: NDArray[np.float64], is_mask: bool) -> NDArray[Any]:
    """A channel (X, Y, Z) whose value at x was at x minus the displacement in voxels (3, X, Y, Z)."""
    background = 0 if is_mask else channel.min()
    places = np.indices(channel.shape) - displacement
    moved: NDArray[Any] = ndimage.map_coordinates(
        channel, places, order=0 if is_mask else 1, mode="constant", cval=background
    )
    return moved
