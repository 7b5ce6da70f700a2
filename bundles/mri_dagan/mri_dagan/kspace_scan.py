"""A scan's k-space with the grid of its images, and the XML header of ISMRMRD and fastMRI files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform
from numpy.typing import NDArray
from scipy import fft

from common.errors import DataError, Finding, VolumeError, Where
from common.io.nifti.header_fields import MAX_DEFLATE_RATIO
from common.simulation.corruptions.kspace import Complex, centred, to_image, zero_filled
from common.simulation.corruptions.magnitude import from_slices, to_slices
from common.simulation.corruptions.masks import Mask
from common.simulation.grid import Volume
from mri_dagan.consistency import data_consistency

AS_GIVEN = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
"""Orientation of nibabel that leaves axes as they are."""
ROUNDED = 0.02
"""Part of the field of view in readout that headers round off: less is no oversampling."""
LARGEST_COUNTER = 2**16 - 1
"""Of ISMRMRD's lines and samples, which are numbers of 16 bits."""
LARGEST_SAMPLE = 1e15
"""Squares of larger samples do not fit float32, nor those of scans whose largest is below the inverse."""


class KspaceHeader(NamedTuple):
    """Of one encoding: fields of view in mm (readout, phase, slices), encoded matrix, its middle line."""

    encoded_mm: tuple[float, ...]
    image_mm: tuple[float, ...]
    matrix: tuple[int, ...]
    middle: int


def header_of(xml: bytes | str, where: Where, number: int = 0) -> KspaceHeader:
    """Read the header of an ISMRMRD or fastMRI file (Inati et al. 2017, Magn Reson Med 77:411).

    Args:
        xml: the header.
        where: for messages.
        number: of the encoding.

    Raises:
        VolumeError: it is no such header, or its trajectory is not Cartesian.
    """
    try:
        encodings = ElementTree.fromstring(xml).findall("{*}encoding")
        if number >= len(encodings):
            raise ValueError(f"no encoding {number}")
        encoding = encodings[number]
        trajectory = _text(encoding, "trajectory")
        fields = [_numbers(encoding, space, "fieldOfView_mm") for space in ("encodedSpace", "reconSpace")]
        sizes = _numbers(encoding, "encodedSpace", "matrixSize")
        matrix = tuple(int(size) for size in sizes)
        if matrix != sizes:
            raise ValueError(f"matrixSize {sizes}, no whole numbers")
        limit = encoding.findtext("{*}encodingLimits/{*}kspace_encoding_step_1/{*}center")
        middle = int(limit) if limit else matrix[1] // 2
        if max(*matrix, abs(middle)) > LARGEST_COUNTER:
            raise ValueError(f"matrixSize {matrix}, center {middle}, beyond {LARGEST_COUNTER}")
    except (ElementTree.ParseError, ValueError) as error:
        fault = "the header is not ISMRMRD's XML with encoding spaces"
        raise VolumeError(where(fault, str(error), "export the file again")) from error
    if trajectory.lower() != "cartesian":
        fault, remedy = "k-space is not Cartesian", "grid it, or reconstruct it elsewhere"
        raise VolumeError(where(fault, f"trajectory {trajectory or 'without a name'}", remedy))
    return KspaceHeader(fields[0], fields[1], matrix, middle)


def _text(element: ElementTree.Element, name: str) -> str:
    text = element.findtext("/".join(f"{{*}}{part}" for part in name.split("/")))
    if not text:
        raise ValueError(f"no {name}")
    return text.strip()


def _numbers(element: ElementTree.Element, space: str, name: str) -> tuple[float, ...]:
    numbers = tuple(float(_text(element, f"{space}/{name}/{axis}")) for axis in "xyz")
    if not all(0 < number < np.inf for number in numbers):
        raise ValueError(f"{space}/{name} {numbers}")
    return numbers


@dataclass(frozen=True)
class KspaceScan:
    """K-space complex64 (slices, coils, rows, columns), its mask, and the grid of its images.

    Args:
        kspace: measured samples, 0 elsewhere; rows are the readout, columns the phase encoding.
        mask: measured samples (rows, columns).
        affine: (4, 4) of the volume (X, Y, Z) to RAS mm.
        axis: that slices are stacked along, once axes are turned; 2 for X columns, Y rows, Z slices.
        turn: orientation of nibabel by which the volume's axes are turned first.
        simulated: whether it was made from a magnitude image.
        warnings: of the file.
    """

    kspace: Complex
    mask: Mask
    affine: NDArray[np.float64]
    axis: int = 2
    turn: NDArray[np.float64] = field(default_factory=AS_GIVEN.copy)
    simulated: bool = False
    warnings: tuple[Finding, ...] = ()

    def zero_filled(self) -> Volume:
        """The zero-filled magnitude (X, Y, Z); see :func:`~common.simulation.corruptions.kspace.zero_filled`."""
        return self.reconstructed(zero_filled)

    def channels(self) -> Volume:
        """The zero-filled scan with phase and mask, (C, X, Y, Z); see :func:`channels_of`."""
        return np.stack([self._volume(list(part)) for part in channels_of(self.kspace, self.mask)])

    def reconstructed(self, method: Callable[[Complex, Mask], NDArray[np.floating]]) -> Volume:
        """The volume (X, Y, Z) that a method makes slice by slice, from (coils, rows, columns) and the mask.

        Args:
            method: returns (rows, columns).
        """
        return self._volume([method(each, self.mask) for each in self.kspace])

    def slices_of(self, volume: NDArray[np.floating]) -> NDArray[np.floating]:
        """A volume (X, Y, Z) of the grid of this k-space as its slices (slices, rows, columns)."""
        return to_slices(apply_orientation(volume, self.turn), self.axis)

    def consistent(self, magnitude: NDArray[np.floating]) -> Volume:
        """A magnitude (X, Y, Z) with the measured samples, slice by slice.

        See :func:`~mri_dagan.consistency.data_consistency`.

        Raises:
            DataError: it has another shape than the images of this k-space.
        """
        slices = self.slices_of(magnitude)
        wanted = (len(self.kspace), *self.mask.shape)
        if slices.shape != wanted:
            fault = f"the image has slices, rows and columns {slices.shape}, its k-space {wanted}"
            raise DataError(fault, "do not resample it")
        pairs = zip(slices, self.kspace, strict=True)
        return self._volume([data_consistency(image, kspace, self.mask) for image, kspace in pairs])

    def _volume(self, slices: list[NDArray[np.floating]]) -> Volume:
        back = ornt_transform(axcodes2ornt("RAS"), self.turn)
        turned: Volume = apply_orientation(from_slices(np.stack(slices).astype(np.float32), self.axis), back)
        return np.ascontiguousarray(turned)


def channels_of(kspace: Complex, mask: Mask) -> Volume:
    """What an unrolled network takes of slices, (3 + 2 coils, slices, rows, columns).

    Zero-filled magnitude, real parts of the coil images and of the image of a point, their imaginary parts. The point,
    as bright as the brightest voxel, is scanned with the same mask, so that its image shows the mask and can be turned,
    flipped and scaled with the others.

    Args:
        kspace: measured samples (slices, coils, rows, columns), 0 elsewhere.
        mask: (rows, columns).
    """
    magnitude = zero_filled(kspace, mask)
    point = np.broadcast_to(magnitude.max() * to_image(mask), (len(kspace), 1, *mask.shape))
    images = np.moveaxis(np.concatenate([to_image(kspace), point], axis=1), 1, 0)
    return np.concatenate([magnitude[None], images.real, images.imag]).astype(np.float32)


def without_oversampling(kspace: Complex, header: KspaceHeader) -> Complex:
    """K-space (..., rows, columns) of the middle of the readout's field of view, as long as the image's.

    Rows are transformed to the image, cut and transformed back; for lines of a Cartesian scan nothing is lost.
    """
    rows = kspace.shape[-2]
    kept = round(rows * header.image_mm[0] / header.encoded_mm[0])
    if kept >= rows * (1 - ROUNDED):
        return kspace

    start = rows // 2 - kept // 2
    return centred(fft.fftn, centred(fft.ifftn, kspace, (-2,))[..., start : start + kept, :], (-2,))


def require_room(dataset: Any, where: Where) -> None:
    """Refuse a dataset of HDF5 that claims more bytes than its file can hold; h5py makes room for all of them.

    Raises:
        VolumeError: naming the dataset, its shape, and the bytes of the file.
    """
    if dataset.is_virtual or dataset.external:  # lies in other files
        return
    size, needed = dataset.file.id.get_filesize(), math.prod(dataset.shape) * dataset.dtype.itemsize
    if needed > size * (MAX_DEFLATE_RATIO if dataset.chunks else 1):
        sizes = f"{dataset.name} {dataset.shape} needs {needed} bytes, the file has {size}"
        raise VolumeError(where("the file holds less than it claims", sizes, "copy or export it again"))


def checked_kspace(kspace: NDArray[np.generic], where: Where) -> Complex:
    """Return samples as complex64.

    Raises:
        VolumeError: they are real, not finite, all 0, or beyond ``LARGEST_SAMPLE``.
    """
    if not np.iscomplexobj(kspace):
        remedy = "give the samples before reconstruction; magnitudes are volumes"
        raise VolumeError(where("k-space is not complex", str(kspace.dtype), remedy))
    if bad := int(np.count_nonzero(~np.isfinite(kspace))):
        raise VolumeError(where("k-space is not finite", f"{bad} NaN or infinite samples", "export the file again"))
    if not kspace.any():
        raise VolumeError(where("k-space is 0 everywhere", "", "export the file again"))
    if not 1 / LARGEST_SAMPLE <= (largest := float(np.abs(kspace).max())) <= LARGEST_SAMPLE:
        remedy = "rescale all by one factor"
        raise VolumeError(where("samples of k-space do not fit float32", f"the largest is {largest:.3g}", remedy))
    return np.asarray(kspace, dtype=np.complex64)


def grid_without_orientation(
    shape: tuple[int, ...], field_mm: tuple[float, ...], slice_mm: float, where: Where
) -> tuple[NDArray[np.float64], Finding]:
    """Affine (4, 4) of axes used as given, around the middle, with a warning.

    Args:
        shape: slices, rows and columns.
        field_mm: of rows and columns.
        slice_mm: distance of the slices.
        where: makes the warning.
    """
    spacing = np.array([field_mm[1] / shape[2], field_mm[0] / shape[1], slice_mm])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(np.array([shape[2], shape[1], shape[0]]) // 2) * spacing
    remedy = "columns, rows and slices are used as left-right, posterior-anterior and inferior-superior: check them"
    return affine, where("k-space lacks the patient's orientation", "", remedy, "warning")
