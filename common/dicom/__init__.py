"""DICOM series: read with every check of their geometry and units, written as derived synthetic series."""
