"""Sampling of a simulated scan: field of view, slices in mm with gaps, and what folds over along the phase axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .grid import Volume


class Sampling(NamedTuple):
    """Sampling shared by all volumes of a case.

    Attributes:
        view: field of view, as slices of the volume along X, Y, Z.
        axis: across the slices.
        pitch: distance of the slices in pixels, at least 1, not always whole; 1 for slices of a pixel.
        thick: thickness of a slice in pixels, the rest of the distance is a gap.
        phase: axis of phase encoding, in the plane of the slices.
        pixel: size of the pixels in mm.
        folds: whether what lies outside the field of view along the phase axis is received.
    """

    view: tuple[slice, ...]
    axis: int
    pitch: float
    thick: float
    phase: int
    pixel: float
    folds: bool = False

    def __call__(self, volume: Volume) -> Volume:
        """Crop a volume (X, Y, Z) of truth to the field of view and average it over the slices."""
        return np.ascontiguousarray(averaged(volume[self.view], self.axis, self.pitch, self.thick))

    def received(self, volume: Volume) -> Volume:
        """A volume (X, Y, Z) of signal on the same grid, folded over if the scan is."""
        if not self.folds:
            return self(volume)
        across = list(self.view)
        across[self.phase] = slice(None)
        inside = folded(volume[tuple(across)], self.phase, self.view[self.phase])
        return np.ascontiguousarray(averaged(inside, self.axis, self.pitch, self.thick))

    @property
    def spacing(self) -> np.ndarray:
        """Voxel spacing (3,) in mm."""
        return self.pixel * np.where(np.arange(3) == self.axis, self.pitch, 1)


def averaged(volume: Volume, axis: int, pitch: float, thick: float) -> Volume:
    """Thick slices: ``pitch`` pixels apart, each the mean of ``thick`` pixels; an incomplete last slice is dropped.

    A pixel that a slice covers in part counts with that part, so that slices have their thickness at every pixel size.
    """
    if pitch == 1:
        return volume
    size = volume.shape[axis]
    starts = pitch * np.arange(int(size / pitch + 1e-6))[:, None]
    pixels = np.arange(size)
    covered = np.minimum(pixels + 1, starts + thick) - np.maximum(pixels, starts)
    sums = np.tensordot(np.maximum(covered, 0).astype(np.float32), volume, (1, axis))
    return np.moveaxis(sums / np.float32(thick), 0, axis)


def folded(volume: Volume, axis: int, view: slice) -> Volume:
    """Part of a volume (X, Y, Z) along an axis, with what lies before it added to its end, and the reverse.

    The phase of a signal tells its place up to a multiple of the field of view (Haacke et al. 1999, ch. 12); at most
    one such multiple at each end is folded over.
    """
    moved = np.moveaxis(volume, axis, 0)
    inside = moved[view].copy()
    size = len(inside)
    before, after = moved[max(view.start - size, 0) : view.start], moved[view.stop : view.stop + size]
    inside[size - len(before) :] += before
    inside[: len(after)] += after
    return np.moveaxis(inside, 0, axis)
