"""NIfTI output: synthetic volumes on the grid of their source."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ...errors import Finding, OutputError
from ...files import write_whole
from ...grids import same_grid
from ..nifti.header_fields import CODES, SCANNER, best_affine, reads_alike
from ..nifti.reading import parse_header
from ..stored_values import to_stored

DESCRIPTION_LENGTH = 79
"""Length of the ``descrip`` field of a NIfTI-1 header in characters."""
GRID_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
"""Header fields copied from the source bit for bit; display window, intent and extensions are not copied."""


def save_like(source: str | Path, values: np.ndarray, path: Path, dtype: str, description: str) -> None:
    """Write a volume on the grid of its source file, with bitwise the same sform, qform, codes and voxel sizes.

    Of a source that readers would take for different grids, by pixdim, its forms or its unit, or without a form, or
    whose codes are not in the standard, the affine as read is written in mm.

    Args:
        source: NIfTI file that gives the grid.
        values: (X, Y, Z) in the target's unit.
        path: to write; the file appears under this name only when it is complete.
        dtype: stored type.
        description: for the header, truncated to 79 characters.

    Raises:
        OutputError: for another shape than the source's, a value that is not finite, or a folder that cannot be
            written.
    """
    origin: Any = nib.load(source)
    shape = origin.shape[:3]
    if values.shape != shape:
        fault = f"{path.name}: the synthetic volume has the shape {values.shape}, not the source's {shape}"
        raise OutputError(fault, "report this as a bug")
    where = partial(Finding, path.name, Path(source).name)
    raw = parse_header(Path(source), where)
    if not reads_alike(raw, shape):
        codes = (int(raw[name]) for name in ("sform_code", "qform_code"))
        code = next((code for code in codes if 0 < code < len(CODES)), SCANNER)
        save_on(best_affine(raw, shape, where)[0], values, path, dtype, description, code)
        return
    header = nib.Nifti1Header()
    for name in GRID_FIELDS:
        header[name] = origin.header[name]
    image = _image(to_stored(values, dtype, path.name), origin.affine, header, description)
    write_whole(path, lambda temporary: nib.save(image, temporary))


def save_on(
    affine: np.ndarray, values: np.ndarray, path: Path, dtype: str, description: str, code: int = SCANNER
) -> None:
    """Write a volume on the grid of a source that is no NIfTI file; otherwise like :func:`save_like`.

    Args:
        affine: (4, 4), from voxel indices to RAS mm.
        values: (X, Y, Z) in the target's unit.
        path: to write.
        dtype: stored type.
        description: for the header.
        code: NIfTI's of the coordinates.

    Raises:
        OutputError: for a value that is not finite, or a folder that cannot be written.
    """
    image = image_on(affine, to_stored(values, dtype, path.name), description, code)
    write_whole(path, lambda temporary: nib.save(image, temporary))


def image_on(affine: np.ndarray, stored: np.ndarray, description: str, code: int = SCANNER) -> nib.Nifti1Image:
    """The image that :func:`save_on` writes.

    Args:
        affine: (4, 4), from voxel indices to RAS mm.
        stored: (X, Y, Z), or (X, Y, Z, C), of a type that NIfTI has.
        description: for the header.
        code: NIfTI's of the coordinates.
    """
    header = nib.Nifti1Header()
    header.set_data_shape(stored.shape)
    header.set_sform(affine, code)
    header.set_qform(affine, code)
    if not same_grid(stored.shape, header.get_qform(), stored.shape, affine):
        header["qform_code"] = 0  # of a sheared grid, which no qform has
    header.set_xyzt_units("mm")
    return _image(stored, affine, header, description)


def _image(stored: np.ndarray, affine: np.ndarray, header: nib.Nifti1Header, description: str) -> nib.Nifti1Image:
    image = nib.Nifti1Image(stored, affine, header, dtype=stored.dtype)
    image.header.set_slope_inter(1, 0)
    image.header["descrip"] = description[:DESCRIPTION_LENGTH].encode("ascii", "replace")
    return image
