"""DICOM series: reading with every check of geometry and units, writing of derived synthetic series."""
