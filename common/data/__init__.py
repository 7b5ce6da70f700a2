"""The data path: safe reading of volumes, datalists with patient-level splits, folder layouts, checks before training.

``python -m common.data make-datalist`` and ``python -m common.data check`` do the same from the command line.
"""

from common.data.checks import check_cases, require_clean
from common.data.datalist import load_datalist, split_by_patient, write_datalist
from common.data.layouts import find_cases
from common.data.nifti import Header, read_header, read_values, read_volume
from common.findings import Finding, VolumeError

__all__ = [
    "Finding",
    "Header",
    "VolumeError",
    "check_cases",
    "find_cases",
    "load_datalist",
    "read_header",
    "read_values",
    "read_volume",
    "require_clean",
    "split_by_patient",
    "write_datalist",
]
