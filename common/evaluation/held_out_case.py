"""Held-out cases on their own grid, and the linear fit of the copied input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import torch

from ..case_keys import REGIONS
from ..data.datalist import Item
from ..errors import DataError
from ..grids import channels_last, reoriented, require_grid
from ..io import VolumeReader
from ..metrics.masked import mask_fault
from ..transforms import LoadVolumed, head_mask, scale

VOLUMES = ("image", "label", "mask", *REGIONS)
"""Files of a case; the first of several channels is its source."""


@dataclass
class Case:
    """Channels of the source (X, Y, Z, C), truth (or None), mask and regions (X, Y, Z), and their common RAS affine.

    The truth of a picture in colour is (X, Y, 1, 3).
    """

    item: Item
    channels: np.ndarray
    truth: np.ndarray | None
    mask: np.ndarray
    regions: dict[str, np.ndarray]
    affine: np.ndarray

    @property
    def name(self) -> str:
        """The case's name."""
        return str(self.item["case"])

    @property
    def source(self) -> np.ndarray:
        """The first channel of the source, (X, Y, Z)."""
        return self.channels[..., 0]

    @property
    def in_colour(self) -> bool:
        """Whether the truth has channels."""
        return self.truth is not None and self.truth.ndim == 4

    @property
    def copied(self) -> np.ndarray:
        """The source with as many channels as the truth, (X, Y, Z) or (X, Y, Z, C): itself, or its first one."""
        if self.truth is None or not self.in_colour:
            return self.source
        same = self.channels.shape == self.truth.shape
        return self.channels if same else np.broadcast_to(self.channels[..., :1], self.truth.shape)

    def volumes(self) -> dict[str, np.ndarray]:
        """Volumes of the case, by the names of the metrics' arguments."""
        known = {"source": self.source, "channels": self.channels, "truth": self.truth, "mask": self.mask}
        known |= self.regions
        return {name: volume for name, volume in known.items() if volume is not None}


def load_case(
    item: Item,
    head_threshold: float | None,
    reader: VolumeReader | None = None,
    standardise: bool = False,
    labelled: bool = False,
) -> Case:
    """Read a case; without a mask file, the mask is the head found in the truth, else in the source; of a picture all.

    With ``standardise`` channels and truth become z-scores inside the head found in the source, as in training (see
    :class:`common.transforms.StandardiseHeadd`). ``head_threshold`` None is the mean of the volume. With
    ``labelled`` the source is a label map, which keeps its values. ``reader`` reads the files as in training.

    Raises:
        DataError: where a volume cannot be used or lies on another grid than the source.
    """
    loaded: Any = LoadVolumed(VOLUMES, reader, allow_missing_keys=True)(dict(item))  # type: ignore[arg-type]
    affine = np.asarray(loaded["image"].affine)
    there = {key: np.asarray(loaded[key] if key == "label" else loaded[key][:1]) for key in VOLUMES if key in item}
    channels, source = np.asarray(loaded["image"]), there["image"][0]
    for key, volume in there.items():
        there[key], own = reoriented(volume, np.asarray(loaded[key].affine), affine)
        there[key] = channels_last(there[key])
        name, shape = f"{item['case']}: {key}", there[key].shape[:3]
        require_grid(name, shape, own, source.shape, affine, "resample it to the source")
    truth = there.get("label")
    axial = int(np.flatnonzero(nib.orientations.io_orientation(affine)[:, 0] == 2)[0])
    if standardise:
        head = head_mask(source, head_threshold, axial, item["case"])
        if not labelled:
            channels = np.stack([_z_scores(channel, head, item["case"]) for channel in channels])
        truth = None if truth is None else _z_scores(truth, head, item["case"])
    if "mask" in there:
        if faulty := mask_fault(there["mask"], source, *([] if truth is None else [_first(truth)])):
            raise DataError(f"{item['case']}: mask {faulty[0]}", faulty[1])
        mask = there["mask"] > 0
    elif standardise:
        mask = head
    elif reader is not None and reader.pictures:
        mask = np.ones(source.shape, bool)
    else:
        mask = head_mask(source if truth is None else _first(truth), head_threshold, axial, item["case"])
    regions = {key: there[key] > 0 for key in REGIONS if key in there}
    return Case(item, np.moveaxis(channels, 0, -1), truth, mask, regions, affine)


def _first(volume: np.ndarray) -> np.ndarray:
    """The first channel of (X, Y, Z, C); (X, Y, Z) as it is."""
    return volume if volume.ndim == 3 else volume[..., 0]


def _z_scores(volume: np.ndarray, head: np.ndarray, case: str) -> np.ndarray:
    mean, deviation = scale(torch.from_numpy(volume[head]), case)
    return (volume - mean) / deviation


def own_window(case: Case) -> tuple[float, float]:
    """The window of a case in an arbitrary unit: from 0 to the 99.5th percentile of truth, or source, in the mask."""
    shown = case.source if case.truth is None else case.truth
    return 0.0, float(np.percentile(shown[case.mask], 99.5)) or 1.0


def fitted_line(cases: Iterable[Case]) -> tuple[float, float]:
    """Slope and intercept of target on source over the cases' masks, by least squares."""
    moments = np.zeros((2, 2))
    products = np.zeros(2)
    for case in cases:
        if case.truth is not None:
            x, y = case.source[case.mask].astype(float), case.truth[case.mask].astype(float)
            moments += [[x @ x, x.sum()], [x.sum(), x.size]]
            products += [x @ y, y.sum()]
    slope, intercept = np.linalg.lstsq(moments, products)[0]
    return float(slope), float(intercept)
