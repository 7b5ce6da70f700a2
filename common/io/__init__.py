"""Volumes on disk: reading of NIfTI, MetaImage, NRRD and DICOM series, export of synthetic volumes."""

from .reader import VolumeReader
from .scan import Scan

__all__ = ["Scan", "VolumeReader"]
