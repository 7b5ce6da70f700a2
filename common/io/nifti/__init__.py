"""Reading of NIfTI volumes with checks of header and values."""

from .reading import Header, read_header, read_values, read_volume

__all__ = ["Header", "read_header", "read_values", "read_volume"]
