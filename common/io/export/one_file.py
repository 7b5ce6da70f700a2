"""Output formats with one file for each volume: NIfTI, MetaImage, NRRD, and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import write_whole
from ..itk_files import SUFFIXES, write_itk
from ..picture_files import write_picture
from .nifti import save_like, save_on
from .outputs import require_file
from .volume import OutputVolume

NIFTI = ".nii.gz"


class FileFormat:
    """Writes each volume as one file, whose ending gives the format.

    Args:
        bundle: name and version, for the header.
        dtype: stored type; of pictures ``uint8`` or ``uint16``.
        suffix: ``.nii.gz``, ``.mha`` or ``.nrrd``; of the one slice of a picture ``.png``, ``.tif`` or ``.ome.tif``.
    """

    def __init__(self, bundle: str, dtype: str, suffix: str) -> None:
        self.description = f"SYNTHETIC {bundle}, not for clinical use"
        self.dtype = dtype
        self.suffix = suffix

    def least_bytes(self, source: Path) -> int:
        """Lower limit of the output size in bytes: 0, since it is unknown before compression."""
        return 0

    def require_replaceable(self, path: Path) -> None:
        """Refuse to replace anything but a file.

        Raises:
            OutputError: for a folder.
        """
        require_file(path)

    def write(self, volume: OutputVolume, path: Path) -> dict[str, Any]:
        """Write one volume and return further entries of its sidecar, of which there are none.

        Raises:
            OutputError: as :func:`common.io.export.nifti.save_like`, :func:`common.io.itk_files.write_itk` or
                :func:`common.io.picture_files.write_picture`.
        """
        values, affine, text = volume.values, volume.affine, self.description
        if self.suffix == NIFTI and volume.is_nifti:
            save_like(volume.source, values, path, self.dtype, text)
        elif self.suffix == NIFTI:
            save_on(affine, values, path, self.dtype, text)
        elif self.suffix in SUFFIXES:
            about = {"SyntheticData": "YES", "Description": text}  # the first is an element of DICOM
            write_whole(path, lambda name: write_itk(values, affine, name, self.dtype, about))
        else:
            write_whole(path, lambda name: write_picture(values, affine, name, self.dtype, text))
        return {}
