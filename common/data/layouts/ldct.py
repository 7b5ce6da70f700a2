"""Layout of LDCT-and-Projection-data: DICOM series by patient, study and description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import DataError
from .complete import complete

PATIENT = r"(?P<body_part>[NCL])\d{3}"
"""Head, chest or abdomen."""
DEPTH = 2
"""Folders below that of a patient in which its series lie: some downloads have no folder of the study."""


def patient_series(root: Path, names: Sequence[str]) -> dict[str, dict[str, Path]]:
    """The series of every patient with all descriptions; a warning names the others.

    ``ROOT/L067/12-23-2021-NA-NA-31304/1.000000-Low Dose Images-20326`` is the series ``Low Dose Images`` of ``L067``,
    in capitals or not. Scans of one manufacturer have no images of low dose.

    Args:
        root: holds the folders of the patients, or the folder ``LDCT-and-Projection-data``.
        names: descriptions, such as ``Low Dose Images``.

    Returns:
        ``{"L067": {"Low Dose Images": folder, ...}, ...}``, sorted by patient.

    Raises:
        DataError: for a patient with two series of a description, or no complete patient.
    """
    inside = root / "LDCT-and-Projection-data"
    root = inside if inside.is_dir() else root
    patients = sorted(path for path in root.iterdir() if path.is_dir() and re.fullmatch(PATIENT, path.name))
    series = {patient.name: {name: _series(patient, name) for name in names} for patient in patients}
    found = {patient: {name: path for name, path in own.items() if path} for patient, own in series.items()}
    example = f"L067/<study>/1.000000-{names[0]}-20326"
    return complete(root, found, names, ("patient", "patients", "series"), example)


def _series(patient: Path, name: str) -> Path | None:
    matching = [folder for folder in _below(patient, DEPTH) if _description(folder).casefold() == name.casefold()]
    if len(matching) > 1:
        both = " and ".join(str(folder.relative_to(patient)) for folder in matching[:2])
        raise DataError(f"{patient.name} has two series {name}, {both}", "remove one of them")
    return matching[0] if matching else None


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield path
            if depth > 1:
                yield from _below(path, depth - 1)


def _description(folder: Path) -> str:
    """What stands between the number of a series and the end of its identifier: ``1.000000-Low Dose Images-20326``."""
    match = re.fullmatch(r"[\d.]+-(.+)-\d+", folder.name)
    return match[1] if match else folder.name
