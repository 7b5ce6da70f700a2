"""U-Nets on whole volumes by their levels, with the voxels of one pass.

Windows of a whole U-Net with four poolings overlap by its receptive field, 200 voxels. Here the outer levels are
computed in tiles, twice: down to the features below a pooling, which are kept for the whole volume; and up again from
what the deeper levels have made of these. Tiles of levels down to the second pooling overlap by 32 voxels. The deeper
levels take the features in one pass, or in tiles themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ConfigError
from .memory import FLOAT_BYTES, forward_bytes, trim_memory
from .sliding_windows import Cut, Place, cheapest_cut, core, every
from .unet_levels import UNetLevels, unet_levels

See = Callable[[Place], Tensor]
"""A tile (1, C, X, Y, Z) of a volume."""
HALO = 4
"""Voxels at a tile's side that do not equal one pass, in voxels of the features below: the two
convolutions of each level see 2, those of all levels 2 (1 + 2 + ... + factor) < 4 factor."""
KEPT = 4
"""Features below the first pooling are kept where they are at most so many times those of a tile: a pass over a tile
has eight and more tensors of that size, the volume two, of the way down and up."""


class Tiles(NamedTuple):
    """How levels are computed: those of the tiles, and the deeper ones.

    Args:
        network: all these levels.
        levels: so many of them in tiles.
        cut: the tiles.
        deeper: the others in one pass, or in tiles.
    """

    network: UNetLevels
    levels: int
    cut: Cut
    deeper: UNetLevels | Tiles

    @property
    def factor(self) -> int:
        """Voxels along a side of a voxel of the features below."""
        return int(2**self.levels)

    @property
    def halo(self) -> int:
        """Of a tile, in voxels."""
        return HALO * self.factor

    def kept(self, window: Place) -> tuple[Place, Place]:
        """A tile without its halo, in the volume and in the tile."""
        place = core(window, self.cut.size, self.halo)
        return place, tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(place, window, strict=True))

    def below(self, place: Place) -> Place:
        """A place in the features below."""
        return tuple(slice(side.start // self.factor, side.stop // self.factor) for side in place)

    def up(self, deep: Tensor, window: Place) -> Callable[[Tensor], Tensor]:
        """The output of a tile, by :func:`deep_features`."""
        return partial(self.network.up, below=_part(deep, self.below(window)), levels=self.levels)


def tiles_of(network: object, size: tuple[int, ...], max_voxels: int) -> Tiles | None:
    """The cheapest tiles of at most ``max_voxels``, or None for a network without levels or a volume too large.

    Args:
        network: in the mode that it is used in.
        size: of the padded volume, which does not fit in one pass.
        max_voxels: of a tile; of one with more features, so many fewer.
    """
    found = unet_levels(network)
    try:
        plan = _plan(found, size, max_voxels * found[0].width) if found else None
    except ConfigError:
        return None
    return plan if isinstance(plan, Tiles) else None


def deep_features(tiles: Tiles, see: See, predict: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]) -> Tensor:
    """What the deeper levels make of a volume, (1, C, X / factor, Y / factor, Z / factor).

    Args:
        tiles: of the padded volume.
        see: a tile (1, C', X', Y', Z').
        predict: applies a part of the network to a tile.
    """
    features: Tensor | None = None
    for window in tiles.cut.windows():
        made = predict(see(window), partial(tiles.network.down, levels=tiles.levels))
        if features is None:
            features = made.new_empty((*made.shape[:2], *(n // tiles.factor for n in tiles.cut.size)))
        place, inside = tiles.kept(window)
        features[0][every(tiles.below(place))] = made[0][every(tiles.below(inside))]
    assert features is not None
    del made
    trim_memory()
    deep = _applied(tiles.deeper, features)
    trim_memory()
    return deep


def bytes_of_tiles(tiles: Tiles, channels: int, shape: tuple[int, ...]) -> int:
    """Memory besides the volume; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
    return _bytes(tiles, tiles.cut.size, channels, math.prod(shape))


def _plan(networks: list[UNetLevels], size: tuple[int, ...], features: int) -> UNetLevels | Tiles:
    """One pass, or tiles of one level where its features can be kept, else of two; the halo of three is too wide.

    Args:
        networks: these levels, and those below 1, 2, ... further poolings.
        size: of the volume.
        features: of the largest tile, its voxels by their number of features.

    Raises:
        ConfigError: there are none.
    """
    network = networks[0]
    most = features // network.width
    if math.prod(size) <= most:
        return network
    for levels, deeper in list(enumerate(networks))[1:3]:
        factor = 2**levels
        below = tuple(n // factor for n in size)
        fits = levels == 2 or deeper.width * math.prod(below) <= KEPT * features
        if fits and not any(n % factor for n in size):
            cut = cheapest_cut(size, HALO * factor, most, factor)
            return Tiles(network, levels, cut, _plan(networks[levels:], below, features))
    raise ConfigError(f"max_voxels is {most}, too few for the features of a volume of {size}", "raise it")


def _applied(plan: UNetLevels | Tiles, volume: Tensor) -> Tensor:
    """The output of levels below a pooling, of the size of their input (1, C, X, Y, Z)."""
    if isinstance(plan, UNetLevels):
        made: Tensor = plan(volume)
        return made
    see = partial(_part, volume)
    deep = deep_features(plan, see, lambda tile, network: network(tile))
    total = torch.empty_like(volume)
    for window in plan.cut.windows():
        place, inside = plan.kept(window)
        total[0][every(place)] = plan.up(deep, window)(see(window))[0][every(inside)]
    return total


def _bytes(plan: UNetLevels | Tiles, size: tuple[int, ...], channels: int, made: int) -> int:
    """Memory besides the input, with an output of so many values."""
    if isinstance(plan, UNetLevels):
        return forward_bytes(plan, 1, channels, *size)
    below, width = tuple(n // plan.factor for n in size), _width(plan.deeper)
    features: int = width * math.prod(below)
    tile = FLOAT_BYTES * channels * math.prod(plan.cut.roi) + forward_bytes(plan.network, 1, channels, *plan.cut.roi)
    # the output is made with the first tile of the way up
    return FLOAT_BYTES * features + max(_bytes(plan.deeper, below, width, features), FLOAT_BYTES * made + tile)


def _width(plan: UNetLevels | Tiles) -> int:
    return plan.width if isinstance(plan, UNetLevels) else plan.network.width


def _part(volume: Tensor, place: Place) -> Tensor:
    return volume[0][every(place)][None]
