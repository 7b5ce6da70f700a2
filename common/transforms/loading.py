"""Loading of volumes with checks of their files, and resampling to a working spacing."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Spacing, Spacingd, SpatialResample
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple
from nibabel.affines import voxel_sizes
from nibabel.orientations import io_orientation

from ..case_keys import REGIONS
from ..errors import ConfigError, DataError
from ..grids import (
    LEAST_COVERED,
    covered,
    is_sheared,
    ras_shape,
    require_grid,
    respaced,
    same_grid,
    show_affine,
    show_grid,
)
from ..io import Scan, VolumeReader
from ..io.modality import MODALITY, SOURCE_MODALITY, modality_of
from ..io.reader import WARNINGS

logger = logging.getLogger(__name__)
MASKS = ("mask", *REGIONS)
"""Keys of label maps, which are resampled by nearest neighbour."""


class LoadVolumed(MapTransform):
    """Load volumes by :class:`common.io.VolumeReader`, with all checks of their files.

    A path gives (1, X, Y, Z), a list of paths one channel each, all on one grid. The affine maps to RAS mm. ``meta``
    has the path of the first channel as ``filename_or_obj``, the UID of a DICOM series as ``series_uid``, the modality
    by :mod:`common.io.modality`, and ``warnings`` of the files without their names, a line each.

    Args:
        keys: items that hold a path or a list of paths.
        reader: of the volumes; with ``channels`` an ``image`` in one file gives (C, X, Y, Z). With ``resample``,
            volumes on another grid are resampled to that of the first channel of the first existing key, with a
            warning: ``mask`` and regions by nearest neighbour, others linearly. Outside its field of view a mask is 0,
            and another volume has its minimum, which is background. Without it, channels on several grids are refused.
        allow_missing_keys: skip absent keys.

    Raises:
        DataError: naming case and file; also for a volume that covers less than half of the grid to resample to, and a
            DICOM series that is not of the item's ``source_modality``.
    """

    def __init__(
        self, keys: KeysCollection, reader: VolumeReader | None = None, allow_missing_keys: bool = True
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = reader or VolumeReader()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace paths by volumes."""
        loaded = dict(data)
        first: Scan | None = None
        for key in self.key_iterator(loaded):
            paths = [str(path) for path in (data[key] if isinstance(data[key], list | tuple) else [data[key]])]
            case = str(data.get("case", Path(paths[0]).name))
            modality = data.get(SOURCE_MODALITY) if key == "image" else None
            loaded[key], grid = self._stacked(str(key), paths, case, first, modality)
            first = first or grid
        return loaded

    def _stacked(
        self, key: str, paths: Sequence[str], case: str, first: Scan | None, modality: str | None
    ) -> tuple[MetaTensor, Scan]:
        """Volumes on one grid as channels, one at a time besides them, and the first one without its values.

        Args:
            key: of the item.
            paths: of the channels.
            case: for messages.
            first: gives the grid of the case; None for that of the first channel.
            modality: of the series to read; None for any.
        """
        channels = np.empty((0, 0, 0, 0), np.float32)
        grids: list[Scan] = []
        for number, path in enumerate(paths):
            length = self.reader.channels if key == "image" and len(paths) == 1 else None
            scan = self.reader.read(path, case, length, modality)
            first = first or _without_values(scan)
            if self.reader.resample:
                scan = _onto_grid(scan, first, key, f"{case}: {path}")
            grids.append(_without_values(scan))
            own, wanted = ((each.values.shape[-3:], each.affine) for each in (scan, grids[0]))
            require_grid(f"{case}: {path}", *own, *wanted, "resample the channels to one grid", "the first channel")
            if len(paths) == 1:
                channels = _channels(scan.values)
            else:
                channels = channels if number else np.empty((len(paths), *scan.values.shape), np.float32)
                channels[number] = scan.values
        return _described(channels, grids, paths), grids[0]


def _without_values(scan: Scan) -> Scan:
    """The scan with zeros that take no memory."""
    return replace(scan, values=np.broadcast_to(np.float32(0), scan.values.shape))


def _described(channels: np.ndarray, scans: Sequence[Scan], paths: Sequence[str]) -> MetaTensor:
    """Channels (C, X, Y, Z) with what is known of their files."""
    shape, affine = channels.shape[1:], scans[0].affine
    stacked = MetaTensor(torch.from_numpy(np.ascontiguousarray(channels)), affine=torch.from_numpy(affine))
    stacked.meta[MetaKeys.ORIGINAL_AFFINE] = affine
    stacked.meta[MetaKeys.SPATIAL_SHAPE] = shape
    stacked.meta[MetaKeys.ORIGINAL_CHANNEL_DIM] = 0
    stacked.meta[MetaKeys.SPACE] = SpaceKeys.RAS
    stacked.meta["filename_or_obj"] = paths[0]
    # both are texts, since MONAI makes no batches of None and empty lists
    stacked.meta[MODALITY] = scans[0].modality or modality_of(channels[: 1 if len(paths) > 1 else None])
    warnings = (each.summary for scan in scans for each in scan.warnings)
    stacked.meta[WARNINGS] = "\n".join(" ".join(each.split()) for each in warnings)
    if scans[0].series_uid is not None:
        stacked.meta["series_uid"] = scans[0].series_uid
    return stacked


def _onto_grid(scan: Scan, first: Scan, key: str, name: str) -> Scan:
    """Resample a scan to the grid of the first one; unchanged if it is already on that grid."""
    if _same_grid(scan, first):
        return scan
    values, affine = _channels(scan.values), scan.affine
    shape, wanted = first.values.shape[-3:], first.affine
    inside = covered(shape, wanted, values.shape[-3:], affine)
    own, new = show_grid(values.shape[-3:], affine), show_grid(shape, wanted)
    if inside.mean() < LEAST_COVERED:
        share = f"{inside.mean():.0%}, less than {LEAST_COVERED:.0%}"
        fault = f"{name} covers {share}, of the grid to resample to, {new}, with {own}"
        raise DataError(fault, "fix its affine, or exclude the case")
    is_mask = key in MASKS
    logger.warning(f"{name}: resampled ({'nearest' if is_mask else 'linear'}) from {own} to {new}")
    volume = MetaTensor(torch.from_numpy(values), affine=torch.from_numpy(affine))
    resample = SpatialResample(mode="nearest" if is_mask else "bilinear", padding_mode="border")
    placed = resample(volume, torch.from_numpy(wanted), shape).numpy()
    background = 0 if is_mask else values.min(axis=(1, 2, 3), keepdims=True)
    return replace(scan, values=np.where(inside, placed, background).astype(np.float32), affine=wanted)


def _same_grid(one: Scan, other: Scan) -> bool:
    return same_grid(one.values.shape[-3:], one.affine, other.values.shape[-3:], other.affine)


def _channels(values: np.ndarray) -> np.ndarray:
    """Values with a channel axis, which only multi-channel files have."""
    return values if values.ndim == 4 else values[None]


class _SpacingAlongOwnAxes(Spacing):
    """MONAI's ``Spacing``, on the grid of :func:`common.grids.respaced` where the axes are at right angles.

    MONAI begins its grid at a corner of the volume if that is the outermost one to 1e-8 of a voxel, and centres it
    otherwise. The affine of an oblique file is rounded to float32: whether its voxels are then averaged with their
    neighbours would be decided by the last digit of the header.
    """

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
