"""HDF5 files of k-space: written in fastMRI's layout, read from that and from ISMRMRD's.

``FastMRIReader`` of MONAI reads the former without checks, grid and header, and not the latter.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import optional_import
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from common.errors import NOT_INSTALLED, ConfigError, Finding, VolumeError, Where
from common.files import GET_CONTENT, NOT_HERE, is_not_here, write_whole
from common.grids import is_invertible, ras_spacing, show_affine
from common.simulation.corruptions.masks import Mask
from common.simulation.corruptions.undersampling import Scanned
from mri_dagan.ismrmrd_files import read_ismrmrd
from mri_dagan.kspace_scan import (
    KspaceScan,
    checked_kspace,
    grid_without_orientation,
    header_of,
    require_room,
    without_oversampling,
)

h5py, has_h5py = optional_import("h5py")
SIMULATED = "SIMULATED"
"""Attribute ``acquisition`` of a k-space that was made from a magnitude image."""
UNDERSAMPLED = "UNDERSAMPLED"
"""That of a scan of which samples were left out."""
HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace>{space}</encodedSpace><reconSpace>{space}</reconSpace><trajectory>cartesian</trajectory>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{middle}</center>
</kspace_encoding_step_1></encodingLimits></encoding></ismrmrdHeader>"""
SPACE = (
    "<matrixSize><x>{0}</x><y>{1}</y><z>1</z></matrixSize>"
    "<fieldOfView_mm><x>{2:.6f}</x><y>{3:.6f}</y><z>{4:.6f}</z></fieldOfView_mm>"
)


def require_h5py() -> None:
    """Refuse to write k-space where h5py is missing.

    Raises:
        ConfigError: it is not installed.
    """
    if not has_h5py:
        raise ConfigError(f"h5py {NOT_INSTALLED}, which writes k-space", "pip install h5py")


def write_kspace(path: Path, scanned: Scanned, affine: NDArray[np.floating], axis: int, simulated: bool = True) -> None:
    """Write a k-space in fastMRI's layout.

    Datasets: ``kspace`` complex64 (slices, coils, rows, columns), ``mask`` float32 (columns,), or (rows, columns) where
    whole lines are not measured, ``ismrmrd_header``. Attributes other than fastMRI's ``acquisition``, ``max``,
    ``norm`` and ``patient_id`` (empty): ``simulated``, ``coils``, and of the volume it was made from ``affine`` (4, 4)
    and ``axis``, that of its slices once its axes are right-anterior-superior.

    Args:
        path: to write.
        scanned: of a volume in right-anterior-superior axes.
        affine: (4, 4) of the volume as given to RAS mm.
        axis: of the slices in right-anterior-superior axes.
        simulated: whether it was made from a magnitude image, not a scan of which samples were left out.

    Raises:
        OutputError: the file cannot be written.
    """
    slices, coils, rows, columns = scanned.kspace.shape
    sizes = ras_spacing(np.asarray(affine))
    across = 0 if axis else 1
    along = 3 - axis - across
    space = SPACE.format(rows, columns, rows * sizes[along], columns * sizes[across], sizes[axis])
    header = HEADER.format(space=space, last=columns - 1, middle=columns // 2)
    lines = bool((scanned.mask == scanned.mask[:1]).all())
    image = scanned.volume

    def write(temporary: str) -> None:
        with h5py.File(temporary, "w") as file:
            file["kspace"] = scanned.kspace.astype(np.complex64)
            file["mask"] = (scanned.mask[0] if lines else scanned.mask).astype(np.float32)
            file["ismrmrd_header"] = header.encode()
            of_fastmri = {
                "acquisition": SIMULATED if simulated else UNDERSAMPLED,
                "patient_id": "",
                "max": float(image.max()),
            }
            own = {"simulated": simulated, "coils": coils, "affine": affine, "axis": axis}
            file.attrs.update({**of_fastmri, "norm": float(np.linalg.norm(image)), **own})

    write_whole(path, write)


def read_kspace(path: Path, case: str, contrast: int | None = None, repetition: int | None = None) -> KspaceScan:
    """Read the k-space of a 2-D Cartesian scan of one or several coils, without oversampling of its readout.

    fastMRI's layout: ``kspace`` (slices, coils, rows, columns), or (slices, rows, columns) of a single coil. Without a
    ``mask`` columns with samples other than 0 are measured. It lacks the patient's orientation: unless this project
    wrote the file, axes are used as given, with a warning. ISMRMRD's layout: acquisitions with position and
    directions; what is no part of the image is skipped, of corrections with a warning, averages become their mean,
    reversed lines are turned, samples to be discarded are, and what partial Fourier leaves out is 0.

    Args:
        path: of the file.
        case: for messages.
        contrast: to read of an ISMRMRD file with several, as the file numbers them.
        repetition: likewise.

    Raises:
        VolumeError: h5py is not installed, or the file cannot be read; for a trajectory that is not Cartesian, 3-D
            encoding, samples that are real, not finite, compressed or all 0, several encodings, a trajectory, lines to
            and fro with their phase correction, a partial and oversampled readout, a missing axis of the coils, a mask
            that does not fit, several contrasts or repetitions without a choice, or slices that are no stack.
    """
    where = partial(Finding, case, path.name)
    if not has_h5py:
        raise VolumeError(where(f"h5py {NOT_INSTALLED}, which reads k-space", "", "pip install h5py"))
    try:
        with h5py.File(path, "r") as file:
            if "kspace" in file:
                return _placed_in_space(_fastmri(file, where), where)
            for group in file.values():
                if isinstance(group, h5py.Group) and {"xml", "data"} <= set(group):
                    return _placed_in_space(read_ismrmrd(group, where, contrast, repetition), where)
            entries = f"{sorted(file)}"
    except VolumeError:
        raise
    except (OSError, RuntimeError) as error:  # the latter of damaged links
        if is_not_here(path):
            raise VolumeError(where(NOT_HERE, "", GET_CONTENT)) from error
        raise VolumeError(where("cannot read the file as HDF5", str(error), "export it again")) from error
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise VolumeError(where("unknown datasets or attributes", reason, "export it again")) from error
    fault = "neither kspace (fastMRI) nor a group with xml and data (ISMRMRD) in the file"
    raise VolumeError(where(fault, entries, "export it in one of these layouts"))


def _placed_in_space(scan: KspaceScan, where: Where) -> KspaceScan:
    """The scan.

    Raises:
        VolumeError: its affine is not invertible, such as by a position that is no number.
    """
    if not is_invertible(scan.affine):
        remedy = "check positions and fields of view, or write it again"
        raise VolumeError(where("the affine is not finite and invertible", show_affine(scan.affine), remedy))
    return scan


def _fastmri(file: Any, where: Where) -> KspaceScan:
    require_room(file["kspace"], where)
    kspace = checked_kspace(file["kspace"][()], where)
    coils = int(file.attrs.get("coils", 1))
    if kspace.ndim == 3 and coils == 1:
        kspace = kspace[:, None]
    if kspace.ndim != 4:
        fault = "kspace lacks one of slices, coils, rows and columns"
        raise VolumeError(where(fault, f"shape {kspace.shape}, {coils} coils", "add the missing axis"))
    mask = _mask(file, kspace, where)
    if "affine" in file.attrs and "axis" in file.attrs:
        affine, axis = np.asarray(file.attrs["affine"], dtype=float), int(file.attrs["axis"])
        if affine.shape != (4, 4) or not is_invertible(affine):  # io_orientation takes no other
            raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "write it again"))
        if axis not in range(3):
            raise VolumeError(where("the axis of the slices is not 0, 1 or 2", f"axis {axis}", "write it again"))
        simulated = bool(file.attrs.get("simulated", False))
        return KspaceScan(kspace, mask, affine, axis, io_orientation(affine), simulated)
    if "ismrmrd_header" not in file:
        remedy = "add it with the field of view"
        raise VolumeError(where("no ismrmrd_header in the file", f"{sorted(file)}", remedy))
    header, rows = header_of(file["ismrmrd_header"][()], where), kspace.shape[2]
    if (mask == mask[:1]).all():
        kspace = without_oversampling(kspace, header)
        mask = np.ascontiguousarray(mask[: kspace.shape[2]])
    fields = (header.encoded_mm[0] * kspace.shape[2] / rows, header.encoded_mm[1])
    affine, warning = grid_without_orientation((len(kspace), *kspace.shape[2:]), fields, header.image_mm[2], where)
    return KspaceScan(kspace, mask, affine, warnings=(warning,))


def _mask(file: Any, kspace: NDArray[np.complexfloating], where: Where) -> Mask:
    """The mask (rows, columns) of the file, or where its columns have samples."""
    sampled = (kspace != 0).any((0, 1))
    if "mask" not in file:
        return np.ascontiguousarray(np.broadcast_to(sampled.any(0), sampled.shape))
    require_room(file["mask"], where)
    given = np.squeeze(file["mask"][()])
    if given.shape not in (sampled.shape, sampled.shape[1:]):
        shapes = f"{given.shape}, of the k-space {sampled.shape}"
        raise VolumeError(where("the mask has another shape", shapes, "give the mask of this k-space"))
    mask = np.ascontiguousarray(np.broadcast_to(given > 0, sampled.shape))
    if outside := int((sampled & ~mask).sum()):
        remedy = "give the mask of this k-space, or set what is not measured to 0"
        raise VolumeError(where("k-space is not 0 outside its mask", f"{outside} samples", remedy))
    return mask
