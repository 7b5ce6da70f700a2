"""The IXI data set: a folder a modality, its files paired by the subject's number."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from common.errors import DataError

logger = logging.getLogger(__name__)


def modality_folder(root: Path, name: str) -> Path:
    """Where the files of a modality are, ``ROOT/IXI-PD``."""
    return root / f"IXI-{name}"


def subject_files(root: Path, names: Sequence[str]) -> dict[str, dict[str, Path]]:
    """The files of every subject that has all modalities; a warning names the other subjects and what they lack.

    ``ROOT/IXI-PD/IXI002-Guys-0828-PD.nii.gz`` goes with the file of ``IXI002`` in ``ROOT/IXI-T2``: hospital and number
    of the scan may differ.

    Args:
        root: holds the folders of the modalities.
        names: of the modalities, such as ``PD`` and ``T2``.

    Returns:
        ``{"IXI002": {"PD": path, "T2": path}, ...}``, sorted by subject.

    Raises:
        DataError: for a folder that does not exist, a subject with two files of a modality, or no subject with all.
    """
    found = {name: _modality(root, name) for name in names}
    subjects = sorted(set().union(*found.values()))
    lacking = {subject: [name for name in names if subject not in found[name]] for subject in subjects}
    left_out = [f"{subject} (no {', '.join(missing)})" for subject, missing in lacking.items() if missing]
    if len(left_out) == len(subjects):
        rule = f"the layout ixi needs a subject with the files {', '.join(names)}"
        example = f"IXI-{names[0]}/IXI002-Guys-0828-{names[0]}.nii.gz"
        remedy = f"expected files such as ROOT/{example}: correct --root, --source or --target"
        raise DataError(str(root), rule, "; ".join(left_out) or "none", remedy)
    if left_out:
        logger.warning("%s: %d subjects are left out: %s", root.name, len(left_out), "; ".join(left_out))
    return {subject: {name: found[name][subject] for name in names} for subject in subjects if not lacking[subject]}


def _modality(root: Path, name: str) -> dict[str, Path]:
    folder = modality_folder(root, name)
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in root.glob("IXI-*") if path.is_dir())) or "no folder IXI-..."
        remedy = "name modalities that are there by --source, --target, --mask, or correct --root"
        raise DataError(str(root), f"the layout ixi needs the folder {folder.name}", there, remedy)
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(rf"(IXI\d{{3}})-.+-{re.escape(name)}\.nii(\.gz)?", path.name)
        if match and files.setdefault(match[1], path) != path:
            both = f"{files[match[1]].name} and {path.name}"
            raise DataError(match[1], f"has one file in {folder.name}", both, "remove one of them")
    return files
