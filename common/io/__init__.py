"""Volumes on disk: reading of NIfTI, MetaImage, NRRD and DICOM series, export of synthetic volumes."""

from .reader import Scan, VolumeReader

__all__ = ["Scan", "VolumeReader"]
