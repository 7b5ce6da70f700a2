"""The few transforms that MONAI lacks: guarded loading, intensity windows by modality, the head's mask."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Spacingd
from monai.utils import MetaKeys, SpaceKeys, convert_to_dst_type, convert_to_tensor
from scipy import ndimage

from common.data.grids import GRID_TOLERANCE_MM, grid_distance_mm
from common.data.nifti import read_volume
from common.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


class LoadVolumed(MapTransform):
    """Load volumes with every check of :mod:`common.data.nifti` before their voxels are believed.

    A path gives (1, X, Y, Z), a list of paths one channel each, all on one grid. The affine is RAS, in mm.

    Args:
        keys: items that hold a path or a list of paths.
        nan_fill: replace non-finite voxels by this instead of refusing the case.
        allow_missing_keys: skip absent keys.

    Raises:
        DataError: names the case and the file.
    """

    def __init__(self, keys: KeysCollection, nan_fill: float | None = None, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.nan_fill = nan_fill

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace paths by volumes."""
        loaded = dict(data)
        for key in self.key_iterator(loaded):
            paths = loaded[key] if isinstance(loaded[key], list | tuple) else [loaded[key]]
            loaded[key] = self._load([str(path) for path in paths], str(data.get("case", Path(str(paths[0])).name)))
        return loaded

    def _load(self, paths: Sequence[str], case: str) -> MetaTensor:
        channels, affines = zip(*[read_volume(path, case, nan_fill=self.nan_fill) for path in paths], strict=True)
        for path, channel, affine in zip(paths, channels, affines, strict=True):
            same = channel.shape == channels[0].shape
            if not same or grid_distance_mm(channel.shape, affine, affines[0]) > GRID_TOLERANCE_MM:
                raise DataError(
                    f"{case}: {path}",
                    f"has the grid of the first channel, shape {channels[0].shape}, affine {affines[0].tolist()}",
                    f"shape {channel.shape}, affine {affine.tolist()}",
                    "resample the channels to one grid",
                )
        volume = MetaTensor(torch.from_numpy(np.stack(channels)), affine=torch.from_numpy(affines[0]))
        volume.meta[MetaKeys.ORIGINAL_AFFINE] = affines[0]
        volume.meta[MetaKeys.SPATIAL_SHAPE] = channels[0].shape
        volume.meta[MetaKeys.ORIGINAL_CHANNEL_DIM] = 0
        volume.meta[MetaKeys.SPACE] = SpaceKeys.RAS
        volume.meta["filename_or_obj"] = paths[0]
        return volume


class WorkingSpacingd(Spacingd):
    """Resample to a working spacing, or leave the grid alone; undone by ``Invertd`` like MONAI's ``Spacingd``.

    Args:
        keys: items (C, X, Y, Z).
        spacing: in mm along the three axes; None keeps each case's own.
        mode: of interpolation, one for all keys or one a key.
        allow_missing_keys: skip absent keys.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spacing: Sequence[float] | None = None,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        self.keeps = spacing is None
        super().__init__(keys, spacing or (1.0, 1.0, 1.0), mode=mode, allow_missing_keys=allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        """Resample the volumes."""
        if self.keeps:
            return dict(data)
        # Spacingd takes every key that begins with "image_" for meta data; servers add such keys with paths
        others = {key: value for key, value in data.items() if key not in self.keys}
        volumes = super().__call__({key: data[key] for key in self.keys if key in data}, lazy)
        return {**others, **volumes}

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return to the grid before."""
        return dict(data) if self.keeps else super().inverse(data)


class ScaleWindowd(MapTransform):
    """Map intensities to [-1, 1], by a fixed window or by a range found in each image; inverted by :class:`ToUnitd`.

    Args:
        keys: items (C, ...), each channel on its own.
        window: ``[low, high]`` in the image's unit: a fixed window, the same for every case.
        percentiles: ``[low, high]`` in percent instead: the window is where these lie among the voxels above the
            image's minimum, so that one setting serves several scanners. For sources; a target needs a fixed window to
            be restored at export.
        zscore: instead: mean 0 and standard deviation 1 over the same voxels, not clipped.
        clip: whether values outside the window are clipped.
        allow_missing_keys: skip absent keys.

    Raises:
        ConfigError: unless exactly one of the three is given and a window's low lies below its high.
    """

    def __init__(
        self,
        keys: KeysCollection,
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] | None = None,
        zscore: bool = False,
        clip: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        choices = {"window": window, "percentiles": percentiles, "zscore": zscore}
        given = [name for name, value in choices.items() if value]
        if len(given) != 1:
            rule = "is given by exactly one of window, percentiles, zscore"
            raise ConfigError(f"intensity of {self.keys}", rule, given or "none", "set one, the others null")
        for low, high in [pair for pair in (window, percentiles) if pair]:
            if low >= high:
                raise ConfigError(f"intensity of {self.keys}", "has low < high", [low, high], "swap or correct them")
        self.window = window
        self.percentiles = percentiles
        self.zscore = zscore
        self.clip = clip

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the images."""
        scaled = dict(data)
        for key in self.key_iterator(scaled):
            plain = convert_to_tensor(scaled[key], track_meta=False)
            channels = torch.stack([self._scale(channel) for channel in plain])
            # without the dtype, an image of integers would be cut to -1, 0 and 1
            scaled[key] = convert_to_dst_type(channels, scaled[key], dtype=torch.float32)[0]
        return scaled

    def _scale(self, channel: torch.Tensor) -> torch.Tensor:
        if self.window is not None:
            low, high = self.window
        else:
            values = channel.numpy()
            foreground = values[values > values.min()]
            # without a range, as in a constant image, everything becomes background rather than NaN or huge
            if foreground.size == 0 or self.zscore and foreground.min() == foreground.max():
                return torch.zeros_like(channel) if self.zscore else torch.full_like(channel, -1.0)
            if self.zscore:
                return (channel - float(foreground.mean())) / float(foreground.std())
            low, high = np.percentile(foreground, self.percentiles)  # type: ignore[arg-type]
            high = max(high, low + 1e-6)
        result = (channel - float(low)) / float(high - low) * 2 - 1
        return result.clamp(-1, 1) if self.clip else result


class ToUnitd(MapTransform):
    """Map [-1, 1] back to a unit through its fixed window: the inverse of :class:`ScaleWindowd`.

    Args:
        keys: items to map.
        window: ``[low, high]`` in the unit.
        allow_missing_keys: skip absent keys.
    """

    def __init__(self, keys: KeysCollection, window: Sequence[float], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.low, self.high = window

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the unit."""
        restored = dict(data)
        for key in self.key_iterator(restored):
            restored[key] = (restored[key] + 1) / 2 * (self.high - self.low) + self.low
        return restored


class HeadMaskd(MapTransform):
    """Give every case a mask: the one it has, else the head found in its CT.

    See :func:`head_mask`; sinuses and mouth belong to it. Without any of the keys nothing is added.

    Args:
        keys: CT volumes, (1, X, Y, Z) in their unit, oriented RAS; the last one present gives the mask.
        threshold: in the target's unit; air lies below it.
        mask_key: where the mask is or goes, (1, X, Y, Z), 0 or 1.

    Raises:
        DataError: where nothing lies above the threshold.
    """

    def __init__(self, keys: KeysCollection, threshold: float = -500.0, mask_key: str = "mask") -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.threshold = threshold
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the mask where it is missing."""
        masked = dict(data)
        if self.mask_key in masked:
            masked[self.mask_key] = (masked[self.mask_key] > 0).to(torch.float32)
            return masked
        for key in self.key_iterator(masked):
            target = masked[key]
            head = head_mask(np.asarray(target[0]), self.threshold, axial=2, case=str(data.get("case", "")))
            mask = torch.from_numpy(head.astype(np.float32))[None]
            masked[self.mask_key] = convert_to_dst_type(mask, target)[0]
        return masked


def head_mask(target: np.ndarray, threshold: float, axial: int, case: str) -> np.ndarray:
    """The largest connected region above a threshold, cavities of each axial slice filled.

    Args:
        target: (X, Y, Z) in its unit.
        threshold: in that unit; air lies below it.
        axial: the axis along which axial slices follow each other.
        case: for the error.

    Raises:
        DataError: where nothing lies above the threshold.
    """
    above = target > threshold
    if not above.any():
        raise DataError(
            f"{case}: target",
            f"has voxels above the head's threshold {threshold}",
            f"a maximum of {float(target.max())}",
            "correct head_threshold, or give a mask",
        )
    regions, _ = ndimage.label(above)
    head = regions == np.bincount(regions[above]).argmax()
    slices = [ndimage.binary_fill_holes(part) for part in np.moveaxis(head, axial, 0)]
    return np.moveaxis(np.stack(slices), 0, axial)
