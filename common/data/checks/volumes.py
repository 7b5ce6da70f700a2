"""Checks of the volumes of one case; each check yields its findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ... import grids
from ...errors import Finding, Where
from ...grids import GRID_TOLERANCE_MM, LEAST_COVERED, covered, show_grid
from ...io.nifti.reading import is_constant
from ...io.reader import VolumeReader
from ...metrics.masked import mask_fault
from ...units import HU_MAXIMUM, HU_MINIMUM
from .misregistration import suspicious_flip, suspicious_shift

OUTSIDE_SHARE = 0.05
"""Largest share of a lesion outside the brain mask; a larger one means that one of them is misplaced."""
WATER_SHARE = 0.25
"""Largest share of 0 HU in an outer face of a CT: noise leaves few voxels at one value, even in a bladder."""


@dataclass(frozen=True)
class CheckedVolume:
    """A volume: values ``(X, Y, Z)`` or ``(C, X, Y, Z)``, affine ``(4, 4)``, warnings of its reader."""

    where: Where
    values: np.ndarray
    affine: np.ndarray
    warnings: tuple[Finding, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the grid, ``(X, Y, Z)``."""
        return self.values.shape[-3:]


def read(path: str, case: str, reader: VolumeReader, channels: int | None = None, keep: bool = False) -> CheckedVolume:
    """Read a volume with all checks of its file; the arguments are those of :meth:`common.io.VolumeReader.check`.

    Raises:
        VolumeError: for an unusable file.
    """
    scan = reader.check(path, case, channels, keep)
    return CheckedVolume(partial(Finding, case, Path(path).name), scan.values, scan.affine, scan.warnings)


def stored_like(volume: CheckedVolume, image: CheckedVolume) -> CheckedVolume:
    """The volume with its axes in the order and direction of the image's, as a training brings both into RAS order."""
    values, affine = grids.reoriented(volume.values, volume.affine, image.affine)
    return replace(volume, values=values, affine=affine)


def first_channel(volume: CheckedVolume) -> CheckedVolume:
    """The first channel alone, ``(X, Y, Z)``, such as red of a picture in colour, by which pairs are compared."""
    return replace(volume, values=volume.values.reshape(-1, *volume.shape)[0])


def same_grid(image: CheckedVolume, other: CheckedVolume, resample: bool = False) -> Iterator[Finding]:
    """Shape and affine of both must agree, or resampling must be enabled and the image sufficiently covered."""
    if on_one_grid(image, other):
        return
    both = f"{show_grid(other.shape, other.affine)} instead of {show_grid(image.shape, image.affine)}"
    fault = f"the grid is not the image's within {GRID_TOLERANCE_MM} mm"
    if not resample:
        yield other.where(fault, both, "resample it to the image's grid, unaligned scans by synthesize register")
        return
    share = covered(image.shape, image.affine, other.shape, other.affine).mean()
    if share < LEAST_COVERED:
        fault = f"it covers less than {LEAST_COVERED:.0%} of the image's voxels"
        yield other.where(fault, f"{share:.0%}, {both}", "correct its affine, or exclude the case")
    else:
        yield other.where(fault, both, "it will be resampled to the image's grid", "warning")


def not_constant(volume: CheckedVolume) -> Iterator[Finding]:
    """An image or label must not be constant."""
    if is_constant(volume.values):
        value = f"{volume.values.flat[0]:g} everywhere"
        yield volume.where("the volume is constant", value, "export it again or exclude the case")


def marks_something(mask: CheckedVolume, images: Sequence[CheckedVolume]) -> Iterator[Finding]:
    """A mask must have one value above 0, and brighter voxels than those it excludes; it should not be everywhere."""
    shown = [image.values.reshape(-1, *image.shape)[0] for image in images if on_one_grid(image, mask)]
    if faulty := mask_fault(mask.values, *shown):
        fault, remedy = faulty
        yield mask.where(f"mask {fault}", "", remedy)
    elif (mask.values > 0).all():
        remedy = "draw it again, or remove it: air then counts in every metric"
        yield mask.where("the mask covers the whole volume", "", remedy, "warning")


def lesion_inside(lesion: CheckedVolume, mask: CheckedVolume) -> Iterator[Finding]:
    """At most ``OUTSIDE_SHARE`` of the lesion lies outside the mask; not checked on different grids."""
    if not on_one_grid(lesion, mask) or not (lesion.values > 0).any():
        return
    outside = float((mask.values[lesion.values > 0] <= 0).mean())
    if outside > OUTSIDE_SHARE:
        fault = f"over {OUTSIDE_SHARE:.0%} of the lesion lies outside the mask"
        yield lesion.where(fault, f"{outside:.0%}", "look at lesion and mask, and correct one of them")


def is_of_ct(window: Sequence[float]) -> bool:
    """Whether a window, low and high, spans -200 to 200 and is therefore taken as HU."""
    return window[0] <= HU_MINIMUM and window[1] >= HU_MAXIMUM


def plausible_hu(label: CheckedVolume, option: str) -> Iterator[Finding]:
    """A CT must reach below -200 and above 200 HU; ``option`` is that of the window."""
    low, high = float(label.values.min()), float(label.values.max())
    if low > HU_MINIMUM or high < HU_MAXIMUM:
        fault = f"values do not reach below {HU_MINIMUM} and above {HU_MAXIMUM} HU, as those of a CT"
        remedy = f"convert it to HU (slope, offset 1024), or give the window of its own unit ({option})"
        yield label.where(fault, f"{low:g} to {high:g}", remedy)


def no_water_outside(volume: CheckedVolume) -> Iterator[Finding]:
    """No outer face of a CT is mostly 0 HU, as after a product with a mask: that is water around the patient."""
    values = volume.values.reshape(-1, *volume.shape)[0]
    faces = [np.moveaxis(values, axis, 0)[end] for axis in range(3) for end in (0, -1)]
    share = max(float((face == 0).mean()) for face in faces)
    if share > WATER_SHARE:
        remedy = "set what lies outside the patient to -1000 HU"
        yield volume.where("the outside is 0 HU, as water", f"{share:.0%} of an outer face", remedy)


def registered(image: CheckedVolume, label: CheckedVolume) -> Iterator[Finding]:
    """No trial shift or flip may raise the mutual information of the pair; not checked on different grids."""
    if not on_one_grid(image, label):
        return
    source = image.values[0] if image.values.ndim == 4 else image.values
    shift, flip = suspicious_shift(source, label.values), suspicious_flip(source, label.values)
    best = max((trial for trial in (shift, flip) if trial), key=lambda trial: trial.after, default=None)
    if best is not None:
        moved = "flipped" if best.voxels is None else f"shifted by {best.voxels:+d} voxels"
        growth = f"mutual information grows from {best.before:.3f} to {best.after:.3f}"
        gain = f"{growth} when the label is {moved} along its axis {best.axis}"
        remedy = "look at the pair; register it, or correct its affine"
        yield label.where("image and label look misregistered", gain, remedy, "warning")


def on_one_grid(one: CheckedVolume, other: CheckedVolume) -> bool:
    """Whether two volumes have one shape and affine."""
    return grids.same_grid(one.shape, one.affine, other.shape, other.affine)
