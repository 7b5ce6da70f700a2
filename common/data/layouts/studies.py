"""Studies as archives export them, ``PATIENT/STUDY/SERIES``: the series below a folder, at any depth."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from ...errors import DataError
from ...io.dicom.reading.headers import holds_series, is_screen_save
from ...io.dicom.reading.series import shown_modality
from ...io.dicom.validation import without_validation
from ...io.modality import with_article
from ..datalist import Item

logger = logging.getLogger(__name__)
TAGS = [0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x0020000E, 0x00200032, 0x52009230]
"""ImageType, SOPClassUID, SOPInstanceUID, Modality, SeriesInstanceUID, and those of the position."""


def nested_series(root: Path, modality: str | None) -> list[Item]:
    """The series more than one level below ``root`` that a network can read, each as a case named by its folders.

    The log lists all of them, with the reason where one is skipped: another modality, a localizer or a screen save.
    Empty where a folder directly below holds a series: the folders are cases then.

    Args:
        root: folder of patients or studies.
        modality: DICOM's code of the network's sources; None takes all series.

    Raises:
        DataError: where all series are skipped.
    """
    if any(holds_series(folder) for folder in root.iterdir()):
        return []
    items = []
    folders = sorted(Path(folder) for folder, _, files in os.walk(root) if files and holds_series(Path(folder)))
    for folder in folders:
        place, header = folder.relative_to(root), _header(folder)
        reason = _unfit(header, modality)
        about = f"{place}, {shown_modality(str(header.get('Modality', '')))}, {len(list(folder.iterdir()))} files"
        logger.info(f"series: {about}: {'selected' if reason is None else f'skipped, {reason}'}")
        if reason is None:
            items.append({"case": "_".join(place.parts), "image": str(folder)})
    if modality and folders and not items:
        fault = f"no series of {modality} in {root}, {len(folders)} of others (see above)"
        raise DataError(fault, f"pass {with_article(modality)}, or --accept_modality true")
    return items


@without_validation
def require_whole_series(items: Sequence[Item], name: str) -> None:
    """Refuse cases that are parts of one DICOM series, split over several folders; copies of a series may be cases.

    Args:
        items: with one or several paths as ``image``.
        name: of the data, for the message.

    Raises:
        DataError: naming two folders.
    """
    seen: dict[str, tuple[str, Path]] = {}
    images = [path for item in items for path in ([item["image"]] if isinstance(item["image"], str) else item["image"])]
    for folder in map(Path, dict.fromkeys(images)):
        header = _header(folder) if folder.is_dir() else Dataset()
        series, instance = (str(header.get(keyword) or "") for keyword in ("SeriesInstanceUID", "SOPInstanceUID"))
        first, other = seen.setdefault(series, (instance, folder))
        if series and first != instance:
            fault = f"{name}: one series lies in two folders, {other} and {folder}"
            raise DataError(fault, "put its slices into one, or give one of them")


def _unfit(header: Dataset, modality: str | None) -> str | None:
    """Why a network cannot read a series; None where it can."""
    if modality is None:
        return None
    if header.get("Modality", modality) != modality:
        return f"no {modality}"
    if "LOCALIZER" in (header.get("ImageType") or ()):
        return "a localizer"
    return "a screen save" if is_screen_save(header) else None


def _header(folder: Path) -> Dataset:
    """Type and modality in the first of the files that is DICOM; empty where none is."""
    for path in sorted(folder.iterdir()):
        try:
            return dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
        except Exception:  # no DICOM: pydicom raises many types for damaged bytes
            continue
    return Dataset()
