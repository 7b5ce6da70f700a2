"""IXI layout: one folder per modality, files paired by subject number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from .complete import complete

FILE = r"IXI\d{3}-(?P<centre>[^-]+)-"
"""Beginning of a file's name: subject and hospital."""


def modality_folder(root: Path, name: str) -> Path:
    """The folder of a modality, such as ``ROOT/IXI-PD``."""
    return root / f"IXI-{name}"


def subject_files(root: Path, names: Sequence[str]) -> dict[str, dict[str, Path]]:
    """The files of every subject with all modalities; a warning names other subjects and their missing modalities.

    ``ROOT/IXI-PD/IXI002-Guys-0828-PD.nii.gz`` is paired with the file of ``IXI002`` in ``ROOT/IXI-T2``; hospital and
    scan number may differ.

    Args:
        root: holds the folders of the modalities.
        names: modalities, such as ``PD`` and ``T2``.

    Returns:
        ``{"IXI002": {"PD": path, "T2": path}, ...}``, sorted by subject.

    Raises:
        DataError: for a folder that does not exist, a subject with two files of a modality, or no complete subject.
    """
    modalities = {name: _modality(root, name) for name in names}
    found = {
        subject: {name: files[subject] for name, files in modalities.items() if subject in files}
        for subject in sorted(set().union(*modalities.values()))
    }
    lacking = {subject: [name for name in names if name not in files] for subject, files in found.items()}
    reasons = {subject: f"no {', '.join(missing)}" for subject, missing in lacking.items() if missing}
    example = f"IXI-{names[0]}/IXI002-Guys-0828-{names[0]}.nii.gz"
    return complete(root, found, names, ("subject", "subjects", "files"), example, reasons)


def _modality(root: Path, name: str) -> dict[str, Path]:
    folder = modality_folder(root, name)
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in root.glob("IXI-*") if path.is_dir())) or "no folder IXI-..."
        remedy = "name existing modalities by --source, --target, --mask, or correct --dataset_dir"
        raise DataError(f"no folder {folder.name} in {root}, which has {there}", remedy)
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(rf"(IXI\d{{3}})-.+-{re.escape(name)}\.nii(\.gz)?", path.name)
        if match and files.setdefault(match[1], path) != path:
            fault = f"{match[1]} has two files in {folder.name}, {files[match[1]].name} and {path.name}"
            raise DataError(fault, "remove one of them")
    return files
