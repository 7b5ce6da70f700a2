"""BIDS layout: the files of each subject and session by their suffixes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from ...files import GET_CONTENT, NOT_HERE, is_broken_link
from ...io.reader import NIFTI, volume_stem
from .complete import complete

SUBJECT, SESSION = "sub-", "ses-"
ANOTHER_IMAGE = re.compile(r"(ce|part|inv|chunk)-[^_]+")
"""Entities of an image that its suffix alone does not name: after a contrast agent, phase of a complex one, of one of
two inversions, part of the field of view."""
MAGNITUDE = "part-mag"
RUN, FIRST_RUN = "_run-", re.compile(r"run-0*1_")
"""An entity that is left out where there is one run alone."""


def subject_files(
    root: Path,
    names: Sequence[str],
    optional: Sequence[str] = (),
    subjects: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> dict[str, dict[str, Path]]:
    """The files of every subject and session that has all suffixes; a warning names the others.

    ``ROOT/sub-01/ses-02/anat/sub-01_ses-02_acq-mprage_T1w.nii.gz`` is ``T1w`` or ``acq-mprage_T1w`` of the case
    ``sub-01_ses-02``. Folders of sessions, and of the kind of data, may be absent; derivatives are not looked at. A
    file with an entity of ``ANOTHER_IMAGE`` is no plain ``T1w``; it is read by its name, ``ce-gadolinium_T1w``. A case
    with such a file alone, or with a link to content that is not here, is excluded, and the warning says why. Where
    ``run-1_T1w`` is asked for, a case without runs gives its ``T1w``.

    Args:
        root: of the raw data.
        names: suffixes, with the entities before them where a suffix is there several times.
        optional: suffixes that a case may lack.
        subjects: names of folders, ``sub-01``, to which to keep; by default all.
        sessions: the same of sessions, ``ses-02``.

    Returns:
        ``{"sub-01_ses-02": {"T1w": path}, ...}``, sorted by case.

    Raises:
        DataError: for a suffix that is there twice in a case, or no complete case.
    """
    there = sorted(path for path in root.glob(f"{SUBJECT}*") if path.is_dir())
    of = [path for path in there if not subjects or path.name in subjects]
    folders = [part for path in of for part in _sessions(path) if not sessions or part.name in sessions]
    if not folders:
        raise DataError(f"no folder {SUBJECT}... in {root}", "correct --dataset_dir or --layout")
    cases = {"_".join(folder.relative_to(root).parts): folder for folder in folders}
    read = {case: _files(folder, case, names, optional) for case, folder in cases.items()}
    found = {case: files for case, (files, _) in read.items()}
    reasons = {case: reason for case, (_, reason) in read.items() if reason}
    example = f"{SUBJECT}01/anat/{SUBJECT}01_{names[0]}.nii.gz"
    return complete(root, found, names, ("subject", "cases", "files"), example, reasons)


def _sessions(subject: Path) -> list[Path]:
    return sorted(path for path in subject.glob(f"{SESSION}*") if path.is_dir()) or [subject]


def _files(
    folder: Path, case: str, names: Sequence[str], optional: Sequence[str]
) -> tuple[dict[str, Path], str | None]:
    """The files of a case, and why one of them is not there, as far as its name says; none where a link is broken."""
    found, reason = {}, None
    for name in (*names, *optional):
        path = _file(folder, case, name)
        if path is not None and is_broken_link(path):
            return {}, f"{path.name} is {NOT_HERE}: {GET_CONTENT}"
        if path is not None:
            found[name] = path
        elif name in names and (others := _matching(folder, case, name)):
            reason = f"{others[0].name} is no plain {name}: name its entities"
    return found, reason


def _file(folder: Path, case: str, name: str) -> Path | None:
    """The file of a suffix, alone or after other entities."""
    matching = _plain(folder, case, name)
    if not matching and FIRST_RUN.search(name):
        alone = _plain(folder, case, FIRST_RUN.sub("", name, count=1))
        matching = [path for path in alone if RUN not in path.name]
    if len(matching) > 1:
        both = " and ".join(path.name for path in matching[:2])
        named = volume_stem(matching[0]).removeprefix(f"{case}_")
        raise DataError(f"{case} has two files {name}, {both}", f"name one with its entities, such as {named}")
    return matching[0] if matching else None


def _plain(folder: Path, case: str, name: str) -> list[Path]:
    """The file that is called so, else those with other entities before it that make it no other image."""
    several = [path for path in _matching(folder, case, name) if not _is_another_image(path, case, name)]
    return [path for path in several if volume_stem(path) == f"{case}_{name}"] or several


def _matching(folder: Path, case: str, name: str) -> list[Path]:
    """The files, or links to absent ones, that end in a suffix."""
    paths = (path for path in (*folder.iterdir(), *folder.glob("*/*")) if path.name.endswith(NIFTI))
    stems = {path: volume_stem(path) for path in sorted(paths) if path.is_file() or is_broken_link(path)}
    return [path for path, stem in stems.items() if stem.startswith(f"{case}_") and stem.endswith(f"_{name}")]


def _is_another_image(path: Path, case: str, name: str) -> bool:
    """Whether a file has entities, before those that are asked for, that make it another image."""
    entities = volume_stem(path).removeprefix(case).removesuffix(name).split("_")
    return any(ANOTHER_IMAGE.fullmatch(entity) and entity != MAGNITUDE for entity in entities)
