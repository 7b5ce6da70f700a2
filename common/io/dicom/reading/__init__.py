"""Reading of DICOM series: which slices, where they lie, what their values mean."""
