"""Cases: datalists with patient-level splits, folder layouts, checks before training, datasets.

``synthesize datalist`` and ``synthesize check`` are the commands for them.
"""

from .cases import inference_cases, training_cases
from .checks.cases import check_cases, require_clean
from .datalist import load_datalist, split_by_patient, write_datalist
from .datasets.patches import VolumePatchDataset
from .datasets.slices import SliceDataset, UnpairedSliceDataset
from .layouts.folders import find_cases
from .loader import EpochLoader

__all__ = [
    "EpochLoader",
    "SliceDataset",
    "UnpairedSliceDataset",
    "VolumePatchDataset",
    "check_cases",
    "find_cases",
    "inference_cases",
    "load_datalist",
    "require_clean",
    "split_by_patient",
    "training_cases",
    "write_datalist",
]
