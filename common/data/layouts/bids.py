"""BIDS layout: the files of each subject and session by their suffixes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from ...io.reader import NIFTI
from .complete import complete

SUBJECT, SESSION = "sub-", "ses-"


def subject_files(root: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, dict[str, Path]]:
    """The files of every subject and session that has all suffixes; a warning names the others.

    ``ROOT/sub-01/ses-02/anat/sub-01_ses-02_acq-mprage_T1w.nii.gz`` is ``T1w`` or ``acq-mprage_T1w`` of the case
    ``sub-01_ses-02``. Folders of sessions, and of the kind of data, may be absent; derivatives are not looked at.

    Args:
        root: of the raw data.
        names: suffixes, with the entities before them where a suffix is there several times.
        optional: suffixes that a case may lack.

    Returns:
        ``{"sub-01_ses-02": {"T1w": path}, ...}``, sorted by case.

    Raises:
        DataError: for a suffix that is there twice in a case, or no complete case.
    """
    subjects = sorted(path for path in root.glob(f"{SUBJECT}*") if path.is_dir())
    folders = [part for subject in subjects for part in _sessions(subject)]
    if not folders:
        raise DataError(f"no folder {SUBJECT}... in {root}", "correct --dataset_dir or --layout")
    found = {}
    for folder in folders:
        case = "_".join(folder.relative_to(root).parts)
        files = {name: _file(folder, case, name) for name in (*names, *optional)}
        found[case] = {name: path for name, path in files.items() if path}
    example = f"{SUBJECT}01/anat/{SUBJECT}01_{names[0]}.nii.gz"
    return complete(root, found, names, ("subject", "cases", "files"), example)


def _sessions(subject: Path) -> list[Path]:
    return sorted(path for path in subject.glob(f"{SESSION}*") if path.is_dir()) or [subject]


def _file(folder: Path, case: str, name: str) -> Path | None:
    """The file of a suffix, alone or after other entities."""
    paths = sorted(path for path in (*folder.iterdir(), *folder.glob("*/*")) if path.is_file())
    stems = {path: path.name.removesuffix(".gz").removesuffix(".nii") for path in paths if path.name.endswith(NIFTI)}
    exact = [path for path, stem in stems.items() if stem == f"{case}_{name}"]
    several = [path for path, stem in stems.items() if stem.startswith(f"{case}_") and stem.endswith(f"_{name}")]
    matching = exact or several
    if len(matching) > 1:
        both = " and ".join(path.name for path in matching[:2])
        raise DataError(f"{case} has two files {name}, {both}", "name one with its entities, such as acq-mprage_T1w")
    return matching[0] if matching else None
