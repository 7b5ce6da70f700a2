"""Writing of derived DICOM series: header, slices, pixels, references to the source."""
