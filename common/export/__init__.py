"""Synthetic volumes on disk: on the source's grid, in the target's unit, whole or not at all, marked as synthetic."""

from common.export.exporter import VolumeExporter
from common.export.nifti import DESCRIPTION_LENGTH, save_like
from common.export.whole import write_whole
from common.stored_values import to_stored

__all__ = ["DESCRIPTION_LENGTH", "VolumeExporter", "save_like", "to_stored", "write_whole"]
