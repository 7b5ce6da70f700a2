"""MetaImage and NRRD files (``.mha``, ``.mhd``, ``.nrrd``, ``.nhdr``), read and written by SimpleITK where installed.

ITK assumes what a header leaves out; here a file without spacing, or in a space that is not the patient's, is refused.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import NOT_INSTALLED, Finding, OutputError, VolumeError, Where
from ..files import GET_CONTENT, NOT_HERE, POINTERS, is_broken_link
from ..grids import is_invertible, show_affine
from .stored_values import to_stored

METAIMAGE = (".mha", ".mhd")
NRRD = (".nrrd", ".nhdr")
SUFFIXES = (*METAIMAGE, *NRRD)
HEADER_BYTES = 2**16
PATIENT_SPACES = (
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
)  # fmt: skip
"""Of NRRD; ITK turns the coordinates of all three into LPS, and leaves those of others as they are."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
RIGHT_ANGLE = 1e-4
"""Largest cosine between axes that count as being at right angles."""
MISSING = f"SimpleITK {NOT_INSTALLED}, which MetaImage and NRRD need"
INSTALL = "pip install SimpleITK"


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
        VolumeError: where SimpleITK is not installed or cannot read the file; for a header without spacing, of another
            space or with data elsewhere; for other than 3 dimensions or 1 channel; for NaN or infinity without
            ``nan_fill``.
    """
    where = partial(Finding, case, path.name)
    if not is_there():
        raise VolumeError(where(MISSING, "", f"{INSTALL}, or convert it to NIfTI"))
    warnings = _checked_header(path, where)
    try:
        image = _simpleitk().ReadImage(str(path))
        values = _simpleitk().GetArrayFromImage(image)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise VolumeError(where("ITK cannot read the file", reason, "copy or export it again")) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1 or np.iscomplexobj(values):
        kind = "complex values" if np.iscomplexobj(values) else f"{image.GetNumberOfComponentsPerPixel()} channels"
        content = f"{image.GetDimension()} dimensions, {kind}"
        raise VolumeError(where("not a 3-D volume with 1 channel of real numbers", content, "export it again"))
    values = np.ascontiguousarray(values.T, dtype=np.float32)  # ITK's arrays are Z, Y, X
    if nan_fill is not None:
        values = np.where(np.isfinite(values), values, np.float32(nan_fill))
    if missing := int(np.count_nonzero(~np.isfinite(values))):
        share = f"{missing} NaN or Inf"
        raise VolumeError(where("voxels are not finite", share, "repair the file or pass --nan_fill 0"))
    affine = _affine(image)
    if not is_invertible(affine):
        raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "export it again"))
    return values, affine, warnings


def itk_grid(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape (X, Y, Z) and affine (4, 4) to RAS mm of a file by its header.

    Raises:
        RuntimeError: ITK cannot read it.
        ValueError: it has other than 3 dimensions.
    """
    reader = _simpleitk().ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return tuple(reader.GetSize()), _affine(reader)


def _affine(image: Any) -> np.ndarray:
    """The affine (4, 4) to RAS mm of ITK's origin, spacing and direction."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return TO_RAS @ affine


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
    itk = _simpleitk()
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
    lps = TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > RIGHT_ANGLE:
        fault = f"{name}: the axes of the affine {show_affine(affine)} are not at right angles"
        raise OutputError(fault, "write NIfTI")
    image = _simpleitk().GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def is_there() -> bool:
    """Whether SimpleITK is installed."""
    return importlib.util.find_spec("SimpleITK") is not None


def _simpleitk() -> ModuleType:
    import SimpleITK  # optional, and slow to import

    return SimpleITK


def _checked_header(path: Path, where: Where) -> tuple[Finding, ...]:
    """Refuse a header that leaves ITK to guess; warnings of what may be guessed."""
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as error:
        if is_broken_link(path):
            raise VolumeError(where(NOT_HERE, "", GET_CONTENT)) from error
        reason = error.strerror or str(error)
        raise VolumeError(where("cannot read the file", reason, "check its path and permissions")) from error
    if start.startswith(POINTERS):
        raise VolumeError(where(NOT_HERE, "", GET_CONTENT))
    lines = start.decode("latin-1").splitlines()
    is_nrrd = path.suffix.lower() in NRRD
    return _checked_nrrd(_fields(lines, ":", ""), where) if is_nrrd else _checked_metaimage(lines, where)


def _fields(lines: Iterable[str], separator: str, last: str) -> dict[str, str]:
    """The fields of a header up to the line that begins with ``last``, or is empty; ``key:=value`` is no field."""
    fields = {}
    for line in lines:
        name, _, value = line.partition(separator)
        if separator in line and not value.startswith("="):
            fields[name.strip()] = value.strip()
        if not line.strip() or last and line.startswith(last):
            break
    return fields


def _checked_nrrd(fields: dict[str, str], where: Where) -> tuple[Finding, ...]:
    space = fields.get("space", "none")
    if space.lower() not in PATIENT_SPACES:
        fault = f"the space is not one of {', '.join(PATIENT_SPACES[::2])}"
        raise VolumeError(where(fault, space, "export it in the patient's space"))
    if "space directions" not in fields:
        raise VolumeError(where("no space directions in the header", "", "export it with its geometry"))
    _require_next_to(fields.get("data file", fields.get("datafile", "")), where)
    if "space origin" not in fields:
        remedy = "the origin is assumed at 0: correct the file if that is wrong"
        return (where("no space origin in the header", "", remedy, "warning"),)
    return ()


def _checked_metaimage(lines: Iterable[str], where: Where) -> tuple[Finding, ...]:
    fields = _fields(lines, "=", "ElementDataFile")
    if not {"ElementSpacing", "ElementSize"} & fields.keys():
        raise VolumeError(where("no ElementSpacing in the header", "", "export it with its geometry"))
    _require_next_to(fields.get("ElementDataFile", ""), where)
    if not {"TransformMatrix", "Rotation", "Orientation"} & fields.keys():
        remedy = "axes along left, posterior, superior are assumed: correct the file if that is wrong"
        return (where("no TransformMatrix in the header", "", remedy, "warning"),)
    return ()


def _require_next_to(data: str, where: Where) -> None:
    """Refuse data in another folder, which a moved or forged header may name, and lists of files."""
    if Path(data).name != data or data.upper().startswith("LIST"):
        raise VolumeError(where("the voxels are not in one file next to the header", data, "put both into one folder"))
