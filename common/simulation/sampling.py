"""Sampling of a simulated scan: field of view, slices in mm with gaps, and what folds over along the phase axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .corruptions.artefacts import folded
from .corruptions.slices import averaged
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
