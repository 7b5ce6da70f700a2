"""Writing of derived DICOM series: header, geometry, pixels, references to the source."""
