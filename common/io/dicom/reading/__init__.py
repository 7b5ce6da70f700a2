"""Reading of DICOM series: selection of slices, geometry, rescaled values."""
