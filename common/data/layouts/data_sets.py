"""Folder layouts of public data sets, SynthRAD, IXI, LDCT and BIDS, and plain folders of cases."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...case_keys import REGIONS
from ...errors import ConfigError, DataError, choose
from ..datalist import Item
from . import bids, ldct
from .folders import CASE_FOLDERS, DEFAULT_MASK, folder_files, items_of, names_of
from .ixi import FILE, modality_folder, subject_files

IXI, LDCT, BIDS = "ixi", "ldct", "bids"
LAYOUTS = (*CASE_FOLDERS, IXI, LDCT, BIDS)
DEFAULT_NAMES = {
    **dict.fromkeys(CASE_FOLDERS, ("mr", "ct")),
    IXI: ("PD", "T2"),
    LDCT: ("Low Dose Images", "Full Dose Images"),
    BIDS: ("T1w", "T2w"),
}
"""Default names of source and target of each layout."""
BODY_PARTS = {
    "B": "brain",
    "P": "pelvis",
    "AB": "abdomen",
    "HN": "head and neck",
    "TH": "thorax",
    "N": "head",
    "C": "thorax",
    "L": "abdomen",
}
"""Body parts by the letters in the names of cases: SynthRAD's, and N, C and L of LDCT-and-Projection-data."""


def find_cases(
    root: str | Path,
    layout: str,
    source: str = "mr",
    target: str | None = "ct",
    mask: str | None = DEFAULT_MASK,
    *,
    patient_separator: str | None = None,
) -> list[Item]:
    """List the cases under ``root``, sorted by name, with absolute paths.

    Args:
        root: the folder of the cases, for SynthRAD also the parent of the region folders, for IXI the parent of
            ``IXI-PD`` and the other modalities, for LDCT that of the patients, for BIDS that of the subjects.
        layout: ``folders`` (``ROOT/<case>/<name>.nii.gz`` or ``.nii``, or a folder ``ROOT/<case>/<name>`` with a DICOM
            series; for a single name also ``ROOT/<case>`` with a series), ``synthrad2023``, ``synthrad2025``, ``ixi``
            (``ROOT/IXI-<name>/IXI002-Guys-0828-<name>.nii.gz``; the case is ``IXI002``), ``ldct`` or ``bids``; see
            their modules.
        source: the file name of the image without its suffix; several channels are separated by commas.
        target: the file name of the label; None for inference, where cases have no label.
        mask: the file name of the mask; None for no masks. Cases may lack one of the default name.
        patient_separator: the patient is the name of the case up to the first separator; by default the whole name.
            A file ``patients.csv`` (columns ``case``, ``patient``) in ``root`` overrides both.

    Raises:
        ConfigError: for an unknown layout.
        DataError: for no folder, no cases, missing files (IXI subjects without all files are excluded with a warning),
            files stored twice, or a case that is missing in patients.csv.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout is {layout!r}", choose(LAYOUTS))
    root = Path(os.path.abspath(root))
    if not root.is_dir():
        raise DataError(f"no folder at {root}", "correct --dataset_dir")
    names = names_of(source, target)
    files = _files(root, layout, names, mask)
    items = items_of(root, files, names, target, mask, patient_separator or ("_" if layout == BIDS else None))
    return [item | _place(layout, item["case"], files[item["case"]][names[0]]) for item in items]


def _files(root: Path, layout: str, names: list[str], mask: str | None) -> dict[str, dict[str, Path]]:
    """The files of each case by name; outside folders of cases a mask is looked for where it has another name."""
    if layout in CASE_FOLDERS:
        return folder_files(root, layout, names, mask)
    required = [*names, *([mask] if mask and mask != DEFAULT_MASK else [])]
    if layout == LDCT:
        return ldct.patient_series(root, required)
    if layout == BIDS:
        return bids.subject_files(root, required, REGIONS)
    return subject_files(root, [*names, mask] if mask and modality_folder(root, mask).is_dir() else required)


def _place(layout: str, case: str, image: Path) -> dict[str, str]:
    """Centre and body part of a case, as far as the names of the data set give them."""
    if layout == IXI:
        match = re.match(FILE, image.name)
        return {"body_part": "brain", **(match.groupdict() if match else {})}
    others = {LDCT: ldct.PATIENT, BIDS: ".*"}
    match = re.fullmatch(others.get(layout) or CASE_FOLDERS[layout].case_pattern, case)
    letters = match.groupdict() if match else {}
    return letters | ({"body_part": BODY_PARTS[letters["body_part"]]} if letters else {})
