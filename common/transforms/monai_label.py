"""MONAI Label: output type and file extension of synthetic images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

FOLDER_EXTENSION = ".nii.gz"


class ServedAsFloatd(MapTransform):
    """Set the output type of MONAI Label's writer to float32, whatever the client requests; images keep their values.

    Segmentation clients request ``uint8``, which cannot hold Hounsfield units. The writer names its result after the
    source, so that a DICOM series in a folder would give a file without extension: the result is NIfTI unless the
    client requests a file type.

    Args:
        keys: images to write.
        allow_missing_keys: skip absent keys.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add ``result_dtype`` and, for a folder, ``result_extension``."""
        served = dict(data)
        for key in self.key_iterator(served):
            served[key] = served[key].float()
        served["result_dtype"] = "float32"
        path = served.get("image_path")
        if path and Path(path).is_dir() and not served.get("result_extension"):
            served["result_extension"] = FOLDER_EXTENSION
        return served
