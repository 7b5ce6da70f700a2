"""Studies as archives export them, ``PATIENT/STUDY/SERIES``: the series below a folder, at any depth."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydicom import dcmread

from common.data.datalist import Item
from common.io.dicom.reading.headers import holds_series

logger = logging.getLogger(__name__)
MODALITY = 0x00080060


def nested_series(root: Path) -> list[Item]:
    """The series more than one level below ``root``, each as a case named by its folders; all are listed in the log.

    None where a folder directly below holds a series: the folders are cases then.
    """
    if any(holds_series(folder) for folder in root.iterdir()):
        return []
    found = sorted(Path(folder) for folder, _, files in os.walk(root) if files and holds_series(Path(folder)))
    items = [{"case": "_".join(folder.relative_to(root).parts), "image": str(folder)} for folder in found]
    for folder in found:
        logger.info(f"series: {folder.relative_to(root)}, {_modality(folder)}, {len(list(folder.iterdir()))} files")
    return items


def _modality(folder: Path) -> str:
    """The modality in one of the files; messages have no other element of a header."""
    for path in sorted(folder.iterdir()):
        try:
            return str(dcmread(path, stop_before_pixels=True, specific_tags=[MODALITY])[MODALITY].value)
        except Exception:  # no DICOM, or without this element: pydicom raises many types for damaged bytes
            continue
    return "no modality"
