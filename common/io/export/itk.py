"""MetaImage and NRRD output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files import write_whole
from ..itk_files import write_itk
from .one_file import OneFile
from .volume import OutputVolume

KEY = "SyntheticData"
"""Of the header, as in DICOM."""


class ItkFormat(OneFile):
    """Writes a volume as ``.nrrd`` or ``.mha``.

    Args:
        bundle: name and version, for the header.
        dtype: stored type.
        suffix: ``.nrrd`` or ``.mha``.
    """

    def write(self, volume: OutputVolume, path: Path) -> dict[str, Any]:
        """Write one volume and return further entries of its sidecar.

        Raises:
            OutputError: where axes are not at right angles, for a value that is not finite, or a folder that cannot be
                written.
        """
        about = {KEY: "YES", "Description": self.description}
        write_whole(path, lambda name: write_itk(volume.values, volume.affine, name, self.dtype, about))
        return {}
