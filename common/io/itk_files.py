"""MetaImage and NRRD files (``.mha``, ``.mhd``, ``.nrrd``, ``.nhdr``), read and written by SimpleITK.

What ITK guesses or passes over in a header is in :mod:`common.io.itk_headers`.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import Finding, OutputError, VolumeError, Where
from ..grids import LPS_TO_RAS, is_invertible, show_affine
from .file_checks import as_float32
from .itk_headers import METAIMAGE, NRRD, read_itk_header
from .stored_values import to_stored
from .voxel_bytes import require_whole

SUFFIXES = (*METAIMAGE, *NRRD)
RIGHT_ANGLE = 1e-4
"""Largest cosine between axes that count as being at right angles."""


def read_itk(
    path: Path, case: str, nan_fill: float | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[Finding, ...]]:
    """Read a 3-D volume of one channel.

    Args:
        path: with one of ``SUFFIXES``.
        case: for messages.
        nan_fill: replaces NaN and infinity, which are errors otherwise.

    Returns:
        the values, float32 (X, Y, Z), the affine (4, 4) to RAS mm, and warnings.

    Raises:
        VolumeError: where SimpleITK cannot read the file; for a header as
            :func:`common.io.itk_headers.read_itk_header`; for other than 3 dimensions or 1 channel; for values as
            :func:`common.io.file_checks.as_float32`.
    """
    where = partial(Finding, case, path.name)
    header = read_itk_header(path, where)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
        if header.voxels is not None:  # first, since ITK takes what is in memory for voxels that are damaged
            require_whole(header.voxels, _bytes_claimed(reader), where)
        values, affine = voxels_of(reader.Execute(), where, header.mm)
    except RuntimeError as error:
        reason = _reason(error)
        raise VolumeError(where("ITK cannot read the file", reason, "copy or export it again")) from error
    if (header.slope, header.offset) != (1, 0):
        values = values * header.slope + header.offset
    if not is_invertible(affine):
        raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "export it again"))
    return as_float32(values, nan_fill, where), affine, header.warnings


def _reader(path: Path) -> Any:
    """A reader of SimpleITK for a file, whose format is named, since ITK knows ``.MHA`` in small letters alone."""
    reader = simpleitk().ImageFileReader()
    reader.SetImageIO("MetaImageIO" if path.suffix.lower() in METAIMAGE else "NrrdImageIO")
    reader.SetFileName(str(path))
    return reader


def _reason(error: RuntimeError) -> str:
    """ITK's reason; for voxels that it lacks of a MetaImage it gives the system's last error, whatever call had it."""
    last = str(error).strip().splitlines()[-1]
    return "voxels are missing" if last.startswith("Reason:") else last


def _bytes_claimed(reader: Any) -> int:
    """Bytes of the voxels by the header that a reader of SimpleITK has read."""
    channels = reader.GetNumberOfComponents()
    voxel = simpleitk().Image([1] * reader.GetDimension(), reader.GetPixelID(), channels)
    return math.prod((*reader.GetSize(), channels, int(voxel.GetSizeOfPixelComponent())))


def voxels_of(image: Any, where: Where, mm: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The values (X, Y, Z), as stored, and the affine (4, 4) to RAS mm of an image of SimpleITK.

    Args:
        image: with lengths in a unit of ``mm``.
        where: for messages.
        mm: that unit.

    Raises:
        VolumeError: for other than 3 dimensions or 1 channel of real numbers.
    """
    values = simpleitk().GetArrayFromImage(image)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1 or np.iscomplexobj(values):
        kind = "complex values" if np.iscomplexobj(values) else f"{image.GetNumberOfComponentsPerPixel()} channels"
        content = f"{image.GetDimension()} dimensions, {kind}"
        raise VolumeError(where("not a 3-D volume with 1 channel of real numbers", content, "export it again"))
    return values.T, _affine(image, mm)  # ITK's arrays are Z, Y, X


def itk_grid(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape (X, Y, Z) and affine (4, 4) to RAS mm of a file by its header.

    Raises:
        VolumeError: as :func:`common.io.itk_headers.read_itk_header`.
        RuntimeError: ITK cannot read it.
        ValueError: it has other than 3 dimensions.
    """
    header = read_itk_header(path, partial(Finding, path.name, path.name))
    reader = _reader(path)
    reader.ReadImageInformation()
    return tuple(reader.GetSize()), _affine(reader, header.mm)


def _affine(image: Any, mm: float) -> np.ndarray:
    """The affine (4, 4) to RAS mm of ITK's origin, spacing and direction, of lengths in a unit of ``mm``."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ np.diag([mm, mm, mm, 1]) @ affine


def write_itk(values: np.ndarray, affine: np.ndarray, path: str, dtype: str, about: dict[str, str]) -> None:
    """Write a volume, compressed.

    Args:
        values: (X, Y, Z).
        affine: (4, 4), to RAS mm.
        path: whose ending gives the format.
        dtype: stored type.
        about: entries of the header.

    Raises:
        OutputError: where axes are not at right angles, for a value that is not finite, or where it cannot be written.
    """
    name = Path(path).name
    itk = simpleitk()
    image = itk_image(to_stored(values, dtype, name), affine, name)
    for key, value in about.items():
        image.SetMetaData(key, value)
    try:
        itk.WriteImage(image, path, useCompression=True)
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1]) from error


def itk_image(values: np.ndarray, affine: np.ndarray, name: str) -> Any:
    """The image of SimpleITK with these voxels (X, Y, Z) and this affine (4, 4) to RAS mm.

    Raises:
        OutputError: where axes are not at right angles, with the name.
    """
    lps = LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > RIGHT_ANGLE:
        fault = f"{name}: the axes of the affine {show_affine(affine)} are not at right angles"
        raise OutputError(fault, "write NIfTI")
    image = simpleitk().GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def simpleitk() -> ModuleType:
    """SimpleITK, which is slow to import."""
    import SimpleITK

    return SimpleITK
