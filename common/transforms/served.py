"""What a server that answers with label maps needs to be told about synthetic images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

FOLDER_EXTENSION = ".nii.gz"


class ServedAsFloatd(MapTransform):
    """Ask MONAI Label's writer for values of 32 bits, whatever its client asked for; elsewhere it changes no image.

    Clients for segmentation ask for ``uint8``, in which no Hounsfield unit survives. The writer names its answer like
    the source, so that a source without an extension of its own, a DICOM series in a folder, would get none: it is
    answered as NIfTI unless the client asked for a type of file.

    Args:
        keys: images to be written.
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
