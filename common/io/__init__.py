"""Volumes on disk: reading of NIfTI files and DICOM series, writing of synthetic ones."""
