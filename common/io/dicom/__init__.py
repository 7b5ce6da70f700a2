"""DICOM series: reading with checks of geometry and units, writing of derived synthetic series."""
