"""Loading of volumes with checks of their files."""

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
from monai.transforms import MapTransform, SpatialResample
from monai.utils import MetaKeys, SpaceKeys

from ..case_keys import REGIONS
from ..errors import DataError
from ..grids import LEAST_COVERED, covered, require_grid, same_grid, show_grid
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
            elif scan.values.ndim == 4 and len(scan.values) > 1:
                fault = f"{case}: {path} has {len(scan.values)} channels, and is one of several files"
                raise DataError(fault, "give files of one channel each")
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
    values, affine = _channels(scan.values), scan.affine
    shape, wanted = first.values.shape[-3:], first.affine
    if same_grid(values.shape[-3:], affine, shape, wanted):
        return scan
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


def _channels(values: np.ndarray) -> np.ndarray:
    """Values with a channel axis, which only multi-channel files have."""
    return values if values.ndim == 4 else values[None]
