"""Reading of volumes by their path: NIfTI, MetaImage, NRRD or MGZ file, or folder of a DICOM series; pictures."""

from __future__ import annotations

import copy
import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ..errors import ConfigError, DataError, Finding, VolumeError, Where
from ..grids import ras_sides, show_sides
from .dicom.reading.headers import holds_series
from .dicom.reading.series import ALL, SeriesOptions, find_series, source_headers
from .file_checks import as_float32
from .itk_files import SUFFIXES, itk_grid, read_itk
from .mgh_files import MGH, read_mgh, read_mgh_grid
from .modality import CT
from .nifti.reading import is_constant, read_header, read_values
from .padding import padding_to_air
from .picture_files import PICTURES, is_picture, read_picture
from .scan import Scan

logger = logging.getLogger(__name__)
WARNINGS = "warnings"
"""Entry of a loaded volume's ``meta``, and of a case that is written."""
NIFTI = (".nii.gz", ".nii")
VOLUMES = (*NIFTI, *SUFFIXES, *MGH)
"""Endings of files with one volume."""
KSPACE = (".h5", ".hdf5")
"""Endings of k-space files, which the reader of a bundle for them reads."""
DICOM_SUFFIXES = (".dcm", ".ima")
SIDES_MM = (1.0, 3000.0)
"""Of the longest side of a volume: below is a scan in metres, beyond no table of a scanner moves."""
CHECK_UNIT = "check the unit of its voxel sizes, mm are needed"
FROM_PICTURES = "convert the original DICOM series; pictures have lost spacing, orientation and unit"
TO_PICTURES = "pass PNG, JPEG or TIFF"
KEPT_BYTES = 2 * 2**30
"""Limit of volumes kept from the data check for training; those beyond it are read twice."""
KEPT_HEADERS = 8
"""Number of series whose headers are kept until their synthetic volume is written."""


class VolumeReader:
    """Reader of all volumes: NIfTI, MetaImage, NRRD and MGZ files, and folders with a DICOM series.

    Args:
        nan_fill: replaces NaN and infinity of a file, which are otherwise errors.
        series: SeriesInstanceUID, or a list of them: the one to read of a folder with several series; ``all`` joins
            them.
        phase: the acquisition to read, from 1, of a series with several at the same positions.
        resample_tilt: resample tilted or unevenly spaced slices onto an orthogonal grid instead of refusing them; the
            volume and its synthetic image are then on that grid.
        channels: length of the fourth dimension of an image in one file.
        resample: whether :class:`common.transforms.LoadVolumed` resamples volumes to the grid of the first one of their
            case; otherwise volumes on other grids are refused.
        pictures: read pictures, see :mod:`common.io.picture_files`, and no volumes.

    Raises:
        ConfigError: for a ``series`` that is no text or a ``phase`` below 1.
    """

    def __init__(
        self,
        nan_fill: float | None = None,
        series: str | Sequence[str] | None = None,
        phase: int | None = None,
        resample_tilt: bool = False,
        channels: int | None = None,
        resample: bool = False,
        pictures: bool = False,
    ) -> None:
        self.nan_fill = nan_fill
        self.options = SeriesOptions(series, phase, resample_tilt)
        self.channels = channels
        self.resample = resample
        self.pictures = pictures
        self._kept: dict[tuple[str, int | None], Scan] = {}
        self._headers: OrderedDict[str, list[Dataset]] = OrderedDict()

    def lenient(self) -> VolumeReader:
        """This reader, but that NaN are read as 0 and tilted slices are resampled; without what this one keeps."""
        other = copy.copy(self)
        other.nan_fill, other.options = 0.0, replace(self.options, resample_tilt=True)
        other._kept, other._headers = {}, OrderedDict()
        return other

    def check(self, path: str | Path, case: str, channels: int | None = None, keep: bool = False) -> Scan:
        """Read a volume with all checks of its format; warnings are returned, not logged.

        Args:
            path: a NIfTI, MetaImage, NRRD or MGZ file, or a folder with a DICOM series.
            case: for messages.
            channels: length of a fourth dimension.
            keep: keep the volume in memory for the next :meth:`read` of this path, within ``KEPT_BYTES`` in total.

        Raises:
            VolumeError: naming case, file, fault, value and remedy.
        """
        scan = self._read(Path(path), case, channels)
        if keep and scan.values.nbytes + sum(kept.values.nbytes for kept in self._kept.values()) <= KEPT_BYTES:
            self._kept[str(path), channels] = scan
        return scan

    def read(self, path: str | Path, case: str, channels: int | None = None, modality: str | None = None) -> Scan:
        """Read a volume like :meth:`check` and log its warnings, and whether it is constant.

        Args:
            path: as of :meth:`check`.
            case: for messages.
            channels: length of a fourth dimension.
            modality: DICOM's code that a series must have, and by which one of several in a folder is chosen.

        Raises:
            VolumeError: as :meth:`check`.
            DataError: for a series of another modality.
        """
        scan = self._kept.pop((str(path), channels), None) or self._read(Path(path), case, channels, modality)
        for finding in scan.warnings:
            logger.warning("%s", finding)
        if is_constant(scan.values):
            logger.warning("%s (%s): every voxel is %g", case, Path(path).name, scan.values.flat[0])
        return scan

    def in_memory(self, values: np.ndarray, affine: np.ndarray, case: str) -> Scan:
        """A volume that is in memory already, with the checks of one that is read from a file.

        Args:
            values: (X, Y, Z) or (C, X, Y, Z) of any real type; they are copied.
            affine: (4, 4) to RAS mm.
            case: for messages.

        Raises:
            VolumeError: NaN or infinity without ``nan_fill``, values that do not fit float32, or no size of a scan.
        """
        where = partial(Finding, case, "")
        scan = Scan(as_float32(values, self.nan_fill, where, "repair them; an inference takes nan_fill=0"), affine)
        _require_possible_size(scan, where)
        padding_to_air(scan.values, where)
        return scan

    def extent(
        self, path: str | Path, case: str, channels: int | None = None, modality: str | None = None
    ) -> Scan | None:
        """The grid of a volume by its header alone, with zeros that take no memory; None where it cannot be read.

        Args:
            path: as of :meth:`check`.
            case: for messages.
            channels: length of a fourth dimension.
            modality: as of :meth:`read`.
        """
        path = Path(path)
        try:
            scan = self._grid(path, case, channels, modality)
            if not self.pictures:  # which have no size in mm, or one of a microscope
                _require_possible_size(scan, partial(Finding, case, path.name))
        except (DataError, ImportError, OSError, RuntimeError, ValueError):  # reading says why
            return None
        return scan

    def _grid(self, path: Path, case: str, channels: int | None, modality: str | None) -> Scan:
        if path.is_dir():
            from .dicom.reading.geometry import stack_geometry  # few inferences read a series

            stack, _ = find_series(path, case, replace(self.options, modality=modality))
            geometry = stack_geometry(stack, self.options.resample_tilt, partial(Finding, case, path.name))
            grid = geometry.resampling
            return _empty(grid.shape if grid else (*stack.plane.shape, len(stack.slices)), geometry.affine)
        if self.pictures:
            values, affine = read_picture(path, case)
            return _empty(values.shape, affine)
        if path.suffix.lower() in SUFFIXES:
            return _empty(*itk_grid(path))
        if path.suffix.lower() in MGH:
            return _empty(*read_mgh_grid(path, case, channels))
        header = read_header(path, case, channels)
        return _empty(header.shape, header.affine)

    def headers(self, path: Path, case: str, series_uid: str | None = None) -> list[Dataset]:
        """The headers of the series of a folder, one for each slice that was read, in their order.

        Args:
            path: the folder; the headers of the last ``KEPT_HEADERS`` series are in memory.
            case: for messages.
            series_uid: of the series, for a folder with several.

        Raises:
            VolumeError: as :meth:`check`, if the headers are read again.
        """
        known = self._headers.pop(str(path), None)
        return known or source_headers(path, case, self._options_of(series_uid))

    def as_scanned(self, path: Path, case: str, series_uid: str | None = None) -> np.ndarray:
        """The values (X, Y, N) of the slices of a series, read again, before a tilt or gaps are resampled.

        Args:
            path: the folder.
            case: for messages.
            series_uid: as of :meth:`headers`.

        Raises:
            VolumeError: as :meth:`check`.
        """
        from .dicom.reading.values import read_voxels

        stack, _ = find_series(path, case, self._options_of(series_uid))
        return read_voxels(stack, partial(Finding, case, path.name)).values

    def _options_of(self, series_uid: str | None) -> SeriesOptions:
        return self.options if ALL in self.options.wanted else replace(self.options, series=series_uid)

    def require_series(self, images: Sequence[Any]) -> None:
        """Refuse options that choose among DICOM series where no image, a path or a list of them, is one.

        Raises:
            ConfigError: naming the option.
        """
        given = {"series": self.options.series, "phase": self.options.phase}
        name = next((name for name, value in given.items() if value is not None), None)
        paths = [path for image in images for path in (image if isinstance(image, list | tuple) else [image])]
        if name and paths and not any(os.path.isdir(path) for path in paths):
            raise ConfigError(f"--{name} chooses among DICOM series, the inputs are files", "omit it, or give a folder")

    def _read(self, path: Path, case: str, channels: int | None, modality: str | None = None) -> Scan:
        where = partial(Finding, case, path.name)
        if is_picture(path) != self.pictures:
            what, wanted = ("picture", "volumes") if is_picture(path) else ("volume", "pictures")
            remedy = TO_PICTURES if self.pictures else FROM_PICTURES
            raise VolumeError(where(f"a {what}, where {wanted} are needed", "", remedy))
        if self.pictures:
            return Scan(*read_picture(path, case))
        if path.is_dir():
            from .dicom.reading.volume import load_series

            scan = load_series(path, case, replace(self.options, modality=modality))
            self._headers[str(path)] = scan.headers
            while len(self._headers) > KEPT_HEADERS:
                self._headers.popitem(last=False)
            scan = replace(scan, headers=[])  # which a volume that is kept would hold
        elif path.suffix.lower() in DICOM_SUFFIXES:
            raise VolumeError(where("a single file of a DICOM series", "", "give the folder of the series"))
        elif path.suffix.lower() in SUFFIXES:
            scan = Scan(*read_itk(path, case, self.nan_fill))
        elif path.suffix.lower() in MGH:
            scan = Scan(*read_mgh(path, case, self.nan_fill, channels))
        else:
            header = read_header(path, case, channels)
            scan = Scan(read_values(header, self.nan_fill), header.affine, header.warnings)
        _require_possible_size(scan, where)
        if scan.modality is None:
            padding_to_air(scan.values, where, None if modality is None else modality == CT)
        return scan


def _empty(shape: tuple[int, ...], affine: np.ndarray) -> Scan:
    return Scan(np.broadcast_to(np.float32(0), shape), affine)


def _require_possible_size(scan: Scan, where: Where) -> None:
    """Refuse a volume whose lengths are in another unit.

    Raises:
        VolumeError: its longest side is outside ``SIDES_MM``.
    """
    sides = ras_sides(scan.values.shape[-3:], scan.affine)
    if not SIDES_MM[0] <= max(sides) <= SIDES_MM[1]:
        raise VolumeError(where("no scan has this size", show_sides(sides), CHECK_UNIT))


def volume_path(folder: Path, name: str, suffixes: tuple[str, ...]) -> list[Path]:
    """The volumes of this name in ``folder``: files ``<name><suffix>``, and ``<name>/`` with a DICOM series."""
    found = [path for suffix in suffixes if (path := folder / f"{name}{suffix}").is_file()]
    return [*found, folder / name] if holds_series(folder / name) else found


def volume_stem(path: str | PurePath) -> str:
    """The name of a volume's file without the ending of its format, or of a series' folder."""
    name = PurePath(path).name
    known = (*VOLUMES, *PICTURES, *KSPACE)
    return next((name[: -len(suffix)] for suffix in known if name.lower().endswith(suffix)), name)
