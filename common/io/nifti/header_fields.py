"""Checks of the fields of a NIfTI header: dimensions, type, size, scaling, affine; errors are ``VolumeError``."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import HeaderDataError

from ...errors import Finding, VolumeError, Where
from ...grids import GRID_TOLERANCE_MM, grid_distance_mm, is_invertible, is_sheared, show_affine

MAX_VALUES = 1024**3
"""Largest number of values in a volume (4 GiB as float32); a whole-body CT of 512 x 512 x 2000 is half of it."""
CODES = range(6)
"""Of sform and qform; 5, another template, is the latest."""
SCANNER = 1
"""Code of scanner coordinates, which are those of DICOM."""
ITK = "SimpleITK and ANTs"
"""Readers of NIfTI by ITK 5.4."""
UNIT_BITS = 7
PLAIN_UNITS = (0, 2)
"""Codes of xyzt_units: unknown, which is taken as mm, and mm."""
MM_OF_UNIT = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
"""Other codes, by which few readers scale."""
MAX_DEFLATE_RATIO = 1032
"""Deflate cannot compress further than 1032 to 1 (zlib's technical notes), so a header that claims more is wrong."""


def dimensions(raw: nib.Nifti1Header, channels: int | None, where: Where) -> tuple[tuple[int, ...], int]:
    """The dimensions on disk without further ones of length 1, and the number of channels.

    Channels lie along the fourth dimension, or along the fifth, where NIfTI has those of vectors and ITK and TorchIO
    write them: 1, or a declared length.
    """
    rank = int(raw["dim"][0])
    dims = tuple(int(n) for n in raw["dim"][1 : 1 + max(rank, 0)])
    if not 1 <= rank <= 7 or min(dims) < 1:
        fields = f"dim {[int(n) for n in raw['dim']]}"
        raise VolumeError(where("invalid dimensions in the header", fields, "export the file again"))
    shape = "x".join(map(str, dims))
    further = tuple(length for length in dims[3:] if length > 1)
    if rank < 3 or len(further) > 1:
        raise VolumeError(where("not a 3-D volume", f"{rank}-D, {shape}", "export 3-D volumes"))
    count = further[0] if further else 1
    if count != (channels or 1):
        remedy = "set reader::channels, or split the time points or channels into files of their own"
        lengths = f"{count} instead of {channels or 1}, shape {shape}"
        raise VolumeError(where("wrong length of the fourth dimension", lengths, remedy))
    return (*dims[:3], *further), count


def stored_type(raw: nib.Nifti1Header, where: Where) -> tuple[np.dtype, int]:
    """The type of the voxels on disk and their byte offset."""
    smallest = 352 if raw.sizeof_hdr == 348 else 544
    try:
        dtype, offset = raw.get_data_dtype(), raw.get_data_offset()
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        fields = f"datatype {int(raw['datatype'])}, vox_offset {float(raw['vox_offset']):g}"
        raise VolumeError(where("invalid header", fields, "export the file again")) from error
    if dtype.kind not in "iuf":
        kinds = {"c": "complex values", "V": f"datatype {int(raw['datatype'])}: RGB, RGBA, binary or unknown"}
        kind, remedy = kinds.get(dtype.kind, str(dtype)), "export one real-valued volume per channel"
        raise VolumeError(where("voxels are not real numbers", kind, remedy))
    if offset < smallest:
        place = f"vox_offset {offset}, at least {smallest} is needed"
        raise VolumeError(where("voxels begin inside the header", place, "export the file again"))
    return dtype, offset


def check_size(path: Path, dims: tuple[int, ...], dtype: np.dtype, offset: int, where: Where) -> None:
    """Refuse a header that claims more voxels than ``MAX_VALUES``, or than its file can hold."""
    count, text = math.prod(dims), "x".join(map(str, dims))
    if count > MAX_VALUES:
        fault, claimed = f"the header claims over {MAX_VALUES} values", f"{text}, which are {count}"
        raise VolumeError(where(fault, claimed, "export the file again, or crop or resample it"))
    needed, size = offset + count * dtype.itemsize, path.stat().st_size
    if needed > size * (MAX_DEFLATE_RATIO if path.name.lower().endswith((".gz", ".mgz")) else 1):
        sizes = f"{size} bytes, {text} {dtype} needs {needed}"
        raise VolumeError(where("the file is truncated", sizes, "copy or export it again"))


def scaling(raw: nib.Nifti1Header, where: Where) -> tuple[float, float, list[Finding]]:
    """Slope and intercept of the voxels, with findings."""
    stored = float(raw["scl_slope"])
    try:
        slope, inter = raw.get_slope_inter()
    except HeaderDataError as error:
        raise VolumeError(where("the scaling is not finite", str(error), "export the file again")) from error
    if slope is not None:
        return slope, inter, []
    remedy = "values are taken as stored, as the NIfTI standard says"
    if np.isfinite(raw["scl_inter"]) and raw["scl_inter"] != 0:
        remedy += f"; {ITK} add scl_inter {raw['scl_inter']:g}"
    return 1.0, 0.0, [where("scl_slope is 0 or not finite", f"{stored:g}", remedy, "warning")]


def unknown_codes(raw: nib.Nifti1Header) -> list[str]:
    """The codes of sform and qform that are not in the standard; nibabel takes them for 0."""
    return [name for name in ("sform_code", "qform_code") if int(raw[name]) not in CODES]


def best_affine(raw: nib.Nifti1Header, shape: tuple[int, ...], where: Where) -> tuple[np.ndarray, list[Finding]]:
    """The sform, otherwise the qform, otherwise the default of nibabel and MONAI, with findings about the choice."""
    sform, qform = _forms(raw)
    warnings = [
        where(f"{name} is not 0 to 5", f"{raw[name]}", "one above 0 is valid, as for NIfTI's library", "warning")
        for name in unknown_codes(raw)
    ]
    affine = sform if sform is not None else qform
    if affine is None:
        affine = raw.get_base_affine()
        assumed = f"both codes 0, assumed {show_affine(affine)}"
        others = _otherwise(raw, shape, affine)
        remedy = f"left is assumed at high x (LAS), as nibabel and MONAI do, {others}: set the sform if that is wrong"
        warnings.append(where("neither sform nor qform gives the orientation", assumed, remedy, "warning"))
    name, size, noted = unit_of_lengths(raw)
    if noted:
        affine = np.diag([size, size, size, 1]) @ affine
        warnings.append(where("the unit of lengths is not mm", name, noted, "warning"))
    if not is_invertible(affine):
        raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "set a valid sform"))
    if sform is None:
        return affine, warnings
    remedy = f"the sform is used, {_otherwise(raw, shape, sform)}: correct the file if that is wrong"
    if qform is not None and not grid_distance_mm(shape, sform, qform) <= GRID_TOLERANCE_MM:
        both = f"sform {show_affine(sform)}, qform {show_affine(qform)}"
        warnings.append(where("sform and qform differ", both, remedy, "warning"))
    elif not _fits_pixdim(raw, shape, sform):
        both = f"pixdim {_sizes(raw['pixdim'][1:4])}, sform {_sizes(voxel_sizes(sform))}"
        warnings.append(where("pixdim and sform have different voxel sizes", both, remedy, "warning"))
    elif is_sheared(sform):
        warnings.append(where("axes of the sform are not at right angles", show_affine(sform), remedy, "warning"))
    return affine, warnings


def _otherwise(raw: nib.Nifti1Header, shape: tuple[int, ...], affine: np.ndarray) -> str:
    """What ITK makes of the forms, where voxels are placed by an affine in the header's unit."""
    what, other = _of_itk(raw, shape)
    if other is None:
        return f"{ITK} refuse the file"
    apart = grid_distance_mm(shape, affine, other) * unit_of_lengths(raw)[1]
    if apart <= GRID_TOLERANCE_MM:
        return f"as by {ITK}"
    return f"{ITK} take {what}, up to {apart:.3g} mm away" if np.isfinite(apart) else f"{ITK} may take {what}"


def _of_itk(raw: nib.Nifti1Header, shape: tuple[int, ...]) -> tuple[str, np.ndarray | None]:
    """The affine of ITK 5.4, as seen with SimpleITK 2.5.7, and its name; None where it refuses the file.

    It takes the sform where its code is 1 or there is no qform, its axes are at right angles and their lengths are
    pixdim.
    """
    sizes = np.diag([*raw["pixdim"][1:4], 1.0])
    sform, qform = _forms(raw)
    if sform is None:
        return ("pixdim from 0", np.diag([-1.0, -1, 1, 1]) @ sizes) if qform is None else ("the qform", qform)
    if qform is not None and (raw["sform_code"] != SCANNER or is_sheared(sform) or not _fits_pixdim(raw, shape, sform)):
        return "the qform", qform
    if is_sheared(sform):
        return "", None
    if _fits_pixdim(raw, shape, sform):
        return "the sform", sform
    return "pixdim", sform / np.array([*voxel_sizes(sform), 1]) @ sizes


def reads_alike(raw: nib.Nifti1Header, shape: tuple[int, ...]) -> bool:
    """Whether all readers find the same grid in mm: by pixdim or qform as ITK, by the sform, or by the unit's code."""
    forms = _forms(raw)
    there = [form for form in forms if form is not None]
    return (
        bool(there)
        and not unknown_codes(raw)
        and grid_distance_mm(shape, there[0], there[-1]) <= GRID_TOLERANCE_MM
        and int(raw["xyzt_units"]) & UNIT_BITS in PLAIN_UNITS
        and all(form is None or (np.isfinite(form).all() and _fits_pixdim(raw, shape, form)) for form in forms)
    )


def unit_of_lengths(raw: nib.Nifti1Header) -> tuple[str, float, str]:
    """The unit of lengths, its size in mm, and what is done with one that is not mm."""
    code = int(raw["xyzt_units"]) & UNIT_BITS
    if code in MM_OF_UNIT:
        return *MM_OF_UNIT[code], "converted to mm"
    return (f"code {code}", 1.0, "" if code in PLAIN_UNITS else "mm are assumed: correct the file if that is wrong")


def _fits_pixdim(raw: nib.Nifti1Header, shape: tuple[int, ...], affine: np.ndarray) -> bool:
    """Whether pixdim and an affine of the header have the same voxel sizes, to the end of the volume."""
    apart = np.abs(raw["pixdim"][1:4] - voxel_sizes(affine)) * unit_of_lengths(raw)[1] * shape
    return bool((apart <= GRID_TOLERANCE_MM).all())


def _sizes(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.6g}" for size in sizes)


def _forms(raw: nib.Nifti1Header) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The sform and the qform; None for one whose code says that it is not set."""
    return raw.get_sform() if raw["sform_code"] > 0 else None, _qform(raw)


def _qform(raw: nib.Nifti1Header) -> np.ndarray | None:
    if raw["qform_code"] <= 0:
        return None
    if raw["pixdim"][0] == 0:  # which the standard reads as 1
        raw = raw.copy()
        raw["pixdim"][0] = 1
    try:
        qform: np.ndarray = raw.get_qform()
    except (HeaderDataError, ValueError):
        return np.full((4, 4), np.nan)  # set, but no rotation: an error only without an sform
    return qform
