"""Volumes on disk: reading of NIfTI files and DICOM series, writing of synthetic ones."""

from common.io.reader import Scan, VolumeReader

__all__ = ["Scan", "VolumeReader"]
