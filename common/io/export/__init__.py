"""Export of synthetic volumes on the grid of the source, in the unit of the target, marked as synthetic."""

from .exporter import VolumeExporter
from .nifti import DESCRIPTION_LENGTH, save_like

__all__ = ["DESCRIPTION_LENGTH", "VolumeExporter", "save_like"]
