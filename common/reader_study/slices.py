"""Slices of the images: the same plane and window for real and synthetic ones, chosen at random inside the head."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
from PIL import Image

from ..errors import DataError
from ..evaluation.report.planes import PLANES, three_planes
from ..grids import require_grid
from ..io.reader import VolumeReader
from ..seeds import derive
from ..transforms.head import head_mask
from .image_folders import StudyImage

LEAST_AREA = 0.3
"""A slice is shown where the head's area in it is at least this share of that in the slice where it is largest."""
SHOWN_PERCENTILES = (0.5, 99.5)
"""Of the real slices: ends of the window where none is given."""
AXES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Axis of a RAS volume along which slices of a plane lie."""
Size = tuple[int, int, float]
"""Rows, columns, and height of a pixel over its width, to two decimals."""


@dataclass(frozen=True)
class StudySlice:
    """Slice of an image.

    Args:
        kind: ``real`` or ``synthetic``.
        case: of the image.
        label: class; empty without classes.
        place: index of the slice in the RAS volume, or of the patch in its stack.
        pixels: (rows, columns) in the image's unit, float32; the first row is the top.
        aspect: height of a pixel over its width.
    """

    kind: str
    case: str
    label: str
    place: int
    pixels: np.ndarray = field(repr=False)
    aspect: float

    @property
    def size(self) -> Size:
        """What a reader can see of the image's size."""
        rows, columns = self.pixels.shape
        return rows, columns, round(self.aspect, 2)

    @property
    def name(self) -> str:
        """Class and case: what trials that are not independent have in common."""
        return f"{self.label}/{self.case}" if self.label else self.case


@dataclass(frozen=True)
class _Volume:
    values: np.ndarray  # (X, Y, Z), RAS unless a patch
    affine: np.ndarray

    @property
    def is_patch(self) -> bool:
        return bool(self.values.shape[2] == 1)


class SliceMaker:
    """Slices of images, by a seed that each case has of its own: added cases change no others.

    Args:
        plane: ``axial``, ``coronal`` or ``sagittal``; patches are shown as they are stored.
        count: slices of a volume.
        seed: of the choice.
        reader: of volumes.
    """

    def __init__(self, plane: str, count: int, seed: int, reader: VolumeReader) -> None:
        self.plane = plane
        self.count = count
        self.seed = seed
        self.reader = reader
        self._stack: tuple[StudyImage, np.ndarray] | None = None

    def slides(self, image: StudyImage) -> list[StudySlice]:
        """Slices of an image on its own.

        Raises:
            DataError: for a file that cannot be read, a volume without a head, or fewer slices than wanted.
        """
        volume = self._volume(image)
        return self._at(image, volume, self._places(image, volume))

    def pairs(self, real: StudyImage, synthetic: StudyImage) -> list[tuple[StudySlice, StudySlice]]:
        """The same slices, those of the real image, of both images of a case.

        Raises:
            DataError: as :meth:`slides`, or for images on two grids.
        """
        volume, other = self._volume(real), self._volume(synthetic)
        own, wanted = ((each.values.shape, each.affine) for each in (other, volume))
        require_grid(f"{synthetic.case}: synthetic image", *own, *wanted, "resample one of them", "the real one")
        places = self._places(real, volume)
        return list(zip(self._at(real, volume, places), self._at(synthetic, other, places), strict=True))

    def _volume(self, image: StudyImage) -> _Volume:
        if image.is_picture:
            return _Volume(_picture(image)[:, :, None], np.eye(4))
        if image.place is not None:
            return _Volume(self._patch(image, image.place), np.eye(4))
        scan = self.reader.read(image.path, image.case)
        if scan.values.ndim != 3:
            fault = f"{image.case} ({image.path.name}) has shape {scan.values.shape}, not three dimensions"
            raise DataError(fault, "keep one channel")
        if scan.values.shape[2] == 1:
            return _Volume(scan.values, scan.affine)
        turn = nib.orientations.io_orientation(scan.affine)
        affine = scan.affine @ nib.orientations.inv_ornt_aff(turn, scan.values.shape)
        return _Volume(nib.orientations.apply_orientation(scan.values, turn), affine)

    def _patch(self, image: StudyImage, place: int) -> np.ndarray:
        """One patch (H, W, 1) of a stack, which stays in memory for its other patches."""
        if self._stack is None or self._stack[0].path != image.path:
            values = self.reader.read(image.path, image.label or image.case).values
            if values.ndim != 3 or values.shape[2] != image.stacked:
                fault = f"{image.path} has shape {values.shape}, its JSON file {image.stacked} seeds, one a patch"
                raise DataError(fault, "draw the samples again")
            self._stack = image, values
        return self._stack[1][:, :, place : place + 1]

    def _places(self, image: StudyImage, volume: _Volume) -> list[int]:
        if volume.is_patch:
            if self.count > 1:
                fault = f"{image.case} ({image.path.name}) is one patch, --slices is {self.count}"
                raise DataError(fault, "omit --slices")
            return [0]
        axis = AXES[self.plane]
        head = head_mask(volume.values, None, 2, f"{image.case} ({image.path.name})")
        areas = head.sum(axis=tuple(other for other in range(3) if other != axis))
        inside = np.flatnonzero(areas >= LEAST_AREA * areas.max())
        if len(inside) < self.count:
            fault = f"{image.case} ({image.path.name}) has {len(inside)} {self.plane} slices with enough of the head"
            raise DataError(f"{fault}, --slices is {self.count}", "lower --slices")
        rng = np.random.default_rng(derive(self.seed, *f"{image.label}/{image.case}".encode()))
        return sorted(int(place) for place in rng.choice(inside, self.count, replace=False))

    def _at(self, image: StudyImage, volume: _Volume, places: Sequence[int]) -> list[StudySlice]:
        across, down = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}[self.plane]
        if volume.is_patch:
            across, down = 0, 1
        spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
        made = []
        for place in places:
            centre = (0, 0, 0) if volume.is_patch else (place, place, place)
            which = 0 if volume.is_patch else PLANES.index(self.plane.capitalize())
            pixels = _plane(volume.values, centre, which).astype(np.float32)
            shown = place if image.place is None else image.place
            aspect = float(spacing[down] / spacing[across])
            made.append(StudySlice(image.kind, image.case, image.label, shown, pixels, aspect))
        return made


def _plane(values: np.ndarray, centre: tuple[int, int, int], which: int) -> np.ndarray:
    """One of the planes of :func:`three_planes`; the other two need not hold the place."""
    x, y, z = (min(place, size - 1) for place, size in zip(centre, values.shape, strict=True))
    return np.ascontiguousarray(three_planes(values, (x, y, z))[which])


def _picture(image: StudyImage) -> np.ndarray:
    """Grey values of a PNG as (X, Y), so that its plane is the picture as it is."""
    try:
        with Image.open(image.path) as picture:
            values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read {image.path} ({error})", "restore it") from error
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all() and (values[..., 3:] == 255).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise DataError(f"{image.path} has {values.shape[2]} channels, not one", "save it in grey")
    turned: np.ndarray = values.astype(np.float32).T[::-1, ::-1]
    return turned


def window_of(slides: Sequence[StudySlice]) -> tuple[float, float]:
    """Window from the percentiles of the pixels of all slides.

    Raises:
        DataError: if they are one value.
    """
    values = np.concatenate([slide.pixels.ravel() for slide in slides])
    low, high = (float(end) for end in np.percentile(values, SHOWN_PERCENTILES))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        percentiles = "percentiles {:g} and {:g}".format(*SHOWN_PERCENTILES)
        raise DataError(f"{percentiles} of the real images are {low:g} and {high:g}", "pass a --window")
    return low, high


def png_of(pixels: np.ndarray, window: tuple[float, float]) -> bytes:
    """PNG (rows, columns) of 8 bits over the window, without metadata.

    It is not compressed: a synthetic image compresses otherwise than a real one, so that the number of bytes would
    give away which is real.
    """
    low, high = window
    grey = np.rint(np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG", compress_level=0)
    return stream.getvalue()
