"""Output of pictures: PNG, TIFF and OME-TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import write_whole
from ..picture_files import write_picture
from .one_file import OneFile
from .volume import OutputVolume


class PictureFormat(OneFile):
    """Writes the one slice of an output, levels of 0 to 255, as ``.png``, ``.tif`` or ``.ome.tif``.

    Args:
        bundle: name and version, for the text in the file.
        dtype: ``uint8`` or ``uint16``.
        suffix: the ending.
    """

    def write(self, volume: OutputVolume, path: Path) -> dict[str, Any]:
        """Write one picture and return further entries of its sidecar.

        Raises:
            OutputError: as :func:`common.io.picture_files.write_picture`.
        """
        write_whole(path, lambda name: write_picture(volume.values, volume.affine, name, self.dtype, self.description))
        return {}
