"""A DICOM node: series come in by C-STORE, synthetic series go back to the archive."""
