"""Export of synthetic volumes: on the source's grid, in the target's unit, marked as synthetic."""

from common.io.export.exporter import VolumeExporter
from common.io.export.nifti import DESCRIPTION_LENGTH, save_like

__all__ = ["DESCRIPTION_LENGTH", "VolumeExporter", "save_like"]
