"""Slices of the images: patches as they are, and the same axial slices of both volumes of a case."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
from PIL import Image

from ..errors import DataError
from ..grids import require_grid
from ..io.export.image_grid import to_grey
from ..io.reader import VolumeReader
from ..transforms.head import head_mask
from .image_folders import StudyImage

LEAST_AREA = 0.3
"""A slice is shown where the head's area in it is at least this share of that in the slice where it is largest."""


@dataclass(frozen=True)
class StudySlice:
    """Slice of an image.

    Args:
        image: from which it is.
        case: what slices that are not independent have in common.
        place: index of the slice in the RAS volume, or of the patch in its stack.
        pixels: (rows, columns) in the image's unit, float32; the first row is anterior, the first column right.
        aspect: width of the slice over its height.
    """

    image: StudyImage
    case: str
    place: int
    pixels: np.ndarray = field(repr=False)
    aspect: float


def patches_of(image: StudyImage, reader: VolumeReader) -> list[StudySlice]:
    """The patches of a file (H, W, N).

    Raises:
        DataError: for a file that cannot be read, or a volume that is no stack of samples.
    """
    volume = _read(image, reader)
    if volume.shape[2] > 1 and not image.stack:
        raise DataError(f"{image.path} is a volume, no patch", f"name the volumes of cases by --{image.kind}_name")
    return _slices(image, volume, range(volume.shape[2]))


def paired_slices(
    real: StudyImage, synthetic: StudyImage, count: int, rng: np.random.Generator, reader: VolumeReader
) -> list[tuple[StudySlice, StudySlice]]:
    """Random axial slices inside the head of the real volume, and the same ones of the synthetic volume.

    Raises:
        DataError: for a file that cannot be read, two grids, a volume without a head, fewer slices than wanted, or a
            synthetic slice that is the real one.
    """
    volume, other = _read(real, reader), _read(synthetic, reader)
    name = f"{real.case} ({real.path.name})"
    grids = other.shape, other.affine, volume.shape, volume.affine
    require_grid(f"{synthetic.case}: synthetic image", *grids, "resample one of them", "the real one")
    areas = head_mask(volume.get_fdata(), None, 2, name).sum((0, 1))
    inside = np.flatnonzero(areas >= LEAST_AREA * areas.max())
    if len(inside) < count:
        fault = f"{name} has {len(inside)} axial slices with enough of the head, --slices is {count}"
        raise DataError(fault, "lower --slices")
    places = sorted(rng.choice(inside, count, replace=False).tolist())
    pairs = list(zip(_slices(real, volume, places), _slices(synthetic, other, places), strict=True))
    if any(np.array_equal(shown.pixels, made.pixels) for shown, made in pairs):
        fault = f"--real and --synthetic have equal slices of {real.case}"
        raise DataError(fault, "replace the copies of real images in --synthetic")
    return pairs


def _read(image: StudyImage, reader: VolumeReader) -> nib.Nifti1Image:
    """Volume in RAS; patches as they are stored."""
    scan = reader.read(image.path, image.case)
    if scan.values.ndim != 3:
        fault = f"{image.case} ({image.path.name}) has shape {scan.values.shape}, not three dimensions"
        raise DataError(fault, "keep one channel")
    volume = nib.Nifti1Image(scan.values.astype(np.float32), scan.affine)
    return volume if image.patches or volume.shape[2] == 1 else nib.as_closest_canonical(volume)


def _slices(image: StudyImage, volume: nib.Nifti1Image, places: Iterable[int]) -> list[StudySlice]:
    across, down, _ = volume.header.get_zooms()
    aspect = round(float(volume.shape[0] * across / (volume.shape[1] * down)), 4)
    values = volume.get_fdata(dtype=np.float32)[::-1, ::-1]
    cases = {place: f"{image.label}/{image.case}/{place}" if image.patches else image.case for place in places}
    return [StudySlice(image, case, place, values[:, :, place].T, aspect) for place, case in cases.items()]


def png_of(pixels: np.ndarray, window: tuple[float, float]) -> bytes:
    """PNG (rows, columns) of 8 bits over the window, without metadata.

    It is not compressed: a synthetic image compresses otherwise than a real one, so that the number of bytes would
    give away which is real.
    """
    Image.fromarray(to_grey(pixels, window)).save(stream := io.BytesIO(), "PNG", compress_level=0)
    return stream.getvalue()
