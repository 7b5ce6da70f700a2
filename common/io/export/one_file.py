"""Base of the output formats with one file for each volume."""

from __future__ import annotations

from pathlib import Path

from .outputs import require_file


class OneFile:
    """A format that writes each volume as one file.

    Args:
        bundle: name and version, for the header.
        dtype: stored type.
        suffix: of the files.
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
