"""MetaImage and NRRD output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.files import write_whole
from common.io.export.outputs import require_file
from common.io.export.volume import Volume
from common.io.itk_files import REMEDY, is_there, write_itk

KEY = "SyntheticData"
"""Of the header, as in DICOM."""


class ItkFormat:
    """Writes a volume as ``.nrrd`` or ``.mha``.

    Args:
        bundle: name and version, for the header.
        dtype: stored type.
        suffix: ``.nrrd`` or ``.mha``.

    Raises:
        ConfigError: where SimpleITK is not installed.
    """

    def __init__(self, bundle: str, dtype: str, suffix: str) -> None:
        if not is_there():
            raise ConfigError("output_format", "is written by SimpleITK", "no package SimpleITK", REMEDY)
        self.about = {KEY: "YES", "Description": f"SYNTHETIC {bundle}, not for clinical use"}
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

    def write(self, volume: Volume, path: Path) -> dict[str, Any]:
        """Write one volume and return further entries of its sidecar.

        Raises:
            OutputError: where axes are not at right angles, for a value that is not finite, or a folder that cannot be
                written.
        """
        write_whole(path, lambda name: write_itk(volume.values, volume.affine, name, self.dtype, self.about))
        return {}
