"""Folders of cases: files of a data set grouped by case."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...case_keys import REGIONS
from ...errors import DataError, some
from ...files import GET_CONTENT, NOT_HERE, is_broken_link, read_rows, text_of_cell
from ...io.dicom.reading.headers import holds_series
from ...io.picture_files import PICTURES
from ...io.reader import KSPACE, NIFTI, VOLUMES, volume_path
from ..datalist import Item

logger = logging.getLogger(__name__)

DEFAULT_MASK = "mask"
"""Default name of the mask, which cases may lack; a mask of any other name is required."""
SEARCHED_DEPTH = 4
"""Folders below a root in which cases at the wrong place are looked for."""
READ = (*VOLUMES, *PICTURES, *KSPACE)
IN_FOLDERS = "arrange them as ROOT/<case>/<name>.png, for a bundle of pictures"


@dataclass(frozen=True)
class _Layout:
    case_pattern: str
    regions: tuple[str, ...]
    suffixes: tuple[str, ...]


CASE_FOLDERS = {
    # not those that systems make: macOS in archives, Synology, ext4 and Windows at the top of a disk
    "folders": _Layout(r"(?![.@$]|__MACOSX$|lost\+found$|System Volume Information$).*", (), READ),
    # SynthRAD2023 (Thummerer et al. 2023): Task1/{brain,pelvis}/1BA001/{mr,ct,mask}.nii.gz; B, P: region, A-C: centre.
    "synthrad2023": _Layout(r"[12](?P<body_part>[BP])(?P<centre>[A-C])\d{3}", ("brain", "pelvis"), NIFTI),
    # SynthRAD2025 (Thummerer et al. 2025): Task1/{AB,HN,TH}/1ABA001/{mr,ct,mask}.mha; NIfTI has priority.
    "synthrad2025": _Layout(r"[12](?P<body_part>AB|HN|TH)(?P<centre>[A-E])\d{3}", ("AB", "HN", "TH"), (*NIFTI, ".mha")),
}


def cases_of_folders(root: str | Path, source: str, target: str | None, mask: str | None) -> list[Item]:
    """The cases ``ROOT/<case>/<name>.nii.gz``; see :func:`common.data.layouts.data_sets.find_cases`."""
    root = Path(os.path.abspath(root))
    names = names_of(source, target)
    return items_of(root, folder_files(root, "folders", names, mask), names, target, mask)


def names_of(source: str, target: str | None) -> list[str]:
    """The names of a case's images: those of the source's channels, then the target's."""
    return [*(name.strip() for name in source.split(",")), *([target] if target else [])]


def items_of(
    root: Path,
    files: dict[str, dict[str, Path]],
    names: list[str],
    target: str | None,
    mask: str | None,
    patient_separator: str | None = None,
) -> list[Item]:
    """The items of cases whose files are known by their names; arguments of ``find_cases``."""
    patients = patients_of(root, list(files), patient_separator)
    channels = names[: len(names) - bool(target)]
    return [_item(case, patients[case], found, channels, target, mask) for case, found in files.items()]


def folder_files(root: Path, layout: str, names: list[str], mask: str | None) -> dict[str, dict[str, Path]]:
    """The files of each case by name: the required ones, and the region masks that exist."""
    chosen = CASE_FOLDERS[layout]
    folders = _case_folders(root, layout, chosen)
    whole = {f.name: {names[0]: f} for f in folders if len(names) == 1 and _is_series(f, names[0], chosen.suffixes)}
    required = [*names, mask] if mask and mask != DEFAULT_MASK else names
    _check_complete(root, [f for f in folders if f.name not in whole], required, chosen.suffixes)
    optional = (*([mask] if mask else []), *REGIONS)
    found = {f.name: {name: _file(f, name, chosen.suffixes) for name in (*names, *optional)} for f in folders}
    if mask:
        _report_masks(root, mask, [case for case, files in found.items() if files[mask] is None], len(found))
    paths = {case: {name: path for name, path in files.items() if path} for case, files in found.items()}
    return {case: {**files, **whole.get(case, {})} for case, files in paths.items()}


def _report_masks(root: Path, mask: str, lacking: list[str], cases: int) -> None:
    if len(lacking) == cases:
        logger.info(f"{root.name}: no case has a file '{mask}', so the cases have no masks")
    elif lacking:
        logger.warning(f"{root.name}: {len(lacking)} of {cases} cases have no file '{mask}': {some(lacking)}")


def _is_series(folder: Path, name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether the folder of a case directly holds the slices of its only volume."""
    return _file(folder, name, suffixes) is None and holds_series(folder)


def _case_folders(root: Path, layout: str, chosen: _Layout) -> list[Path]:
    parents = [root, *(root / region for region in chosen.regions if (root / region).is_dir())]
    found = [folder for parent in parents for folder in parent.iterdir() if folder.is_dir()]
    folders = sorted((f for f in found if re.fullmatch(chosen.case_pattern, f.name)), key=lambda folder: folder.name)
    for one, other in pairwise(folders):
        if one.name == other.name:
            both = f"{one.relative_to(root)} and {other.relative_to(root)}"
            raise DataError(f"case {one.name} has two folders, {both}", "remove or rename one of them")
    if chosen.regions:
        _report_deeper(root, chosen, folders)
    if not folders:
        if pictures := sorted(path.name for path in root.iterdir() if path.name.lower().endswith(PICTURES)):
            raise DataError(f"{root.name} has pictures outside folders of cases ({some(pictures)})", IN_FOLDERS)
        example = {"folders": "<case>", "synthrad2023": "brain/1BA001", "synthrad2025": "AB/1ABA001"}[layout]
        fault = f"no cases in {root}, where the layout {layout} has ROOT/{example}"
        raise DataError(fault, "correct --dataset_dir or --layout")
    return folders


def _report_deeper(root: Path, chosen: _Layout, cases: list[Path]) -> None:
    """Name the cases that lie where this layout does not look, such as ROOT/Task1/brain next to ROOT/brain."""
    below = [path for depth in range(1, SEARCHED_DEPTH + 1) for path in root.glob("/".join("*" * depth))]
    named = [path for path in below if re.fullmatch(chosen.case_pattern, path.name) and path.is_dir()]
    if skipped := sorted(str(path.relative_to(root)) for path in named if path not in cases):
        logger.warning(f"{root.name}: {len(skipped)} deeper cases are skipped: {some(skipped)}; name their folder")


def _file(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path | None:
    found = volume_path(folder, name, suffixes)
    if broken := [path for suffix in suffixes if is_broken_link(path := folder / f"{name}{suffix}")]:
        raise DataError(f"{folder.name}/{broken[0].name} is {NOT_HERE}", GET_CONTENT)
    several = [path for path in found if path.is_dir() or path.name.endswith(NIFTI)]
    if len(several) > 1:
        kinds = sorted((path.name.removeprefix(name) or "a DICOM folder" for path in several), key=len)
        raise DataError(f"{folder.name}: '{name}' is there twice, {' and '.join(kinds)}", "remove one of them")
    return found[0] if found else None


def _check_complete(root: Path, folders: list[Path], names: list[str], suffixes: tuple[str, ...]) -> None:
    suffix = suffixes[-1] if suffixes[-1] == ".mha" else suffixes[0]
    there = sorted({p.name for f in folders for p in f.iterdir() if p.name.lower().endswith(READ) and p.is_file()})
    if there and all(name.lower().endswith(PICTURES) for name in there):
        suffix = ".png"
    missing = [f"{f.name}/{name}{suffix}" for f in folders for name in names if _file(f, name, suffixes) is None]
    if missing:
        files = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
        fault = f"{files} missing in {root.name} ({some(missing)})"
        if there and any(all(f"{f.name}/{name}{suffix}" in missing for f in folders) for name in names):
            fault += f", whose cases have {some(there)}"
        remedy = "complete these cases, move them out of the folder, or name other files"
        if any(holds_series(part) for folder in folders for part in (folder, *folder.iterdir())):
            place = missing[0].removesuffix(suffix)
            remedy += f"; a folder with a DICOM series is read where it is named so, such as {place}"
        raise DataError(fault, remedy)


def patients_of(root: Path, cases: list[str], separator: str | None) -> dict[str, str]:
    """The patient of each case: from ``ROOT/patients.csv``, otherwise the name of the case up to the separator.

    Raises:
        DataError: for a table without the columns ``case`` and ``patient``, without one of the cases, or not in UTF-8.
    """
    path = root / "patients.csv"
    if not path.is_file():
        return {case: case.split(separator)[0] if separator else case for case in cases}
    rows = read_rows(path)
    if not rows or not {"case", "patient"} <= set(rows[0]):
        columns = f"the columns {sorted(rows[0])}" if rows else "no rows"
        raise DataError(f"patients.csv has {columns}, not case,patient", "write case,patient as its first line")
    listed = {text_of_cell(row["case"] or ""): text_of_cell(row["patient"]) for row in rows if row["patient"]}
    lacking = [case for case in cases if case not in listed]
    if lacking:
        raise DataError(f"patients.csv has no patient for {', '.join(lacking)}", "add them")
    return {case: listed[case] for case in cases}


def _item(
    case: str, patient: str, files: dict[str, Path], channels: list[str], target: str | None, mask: str | None
) -> Item:
    images = [str(files[name]) for name in channels]
    item: Item = {"case": case, "patient": patient, "image": images[0] if len(images) == 1 else images}
    named = {"label": target, "mask": mask, **{region: region for region in REGIONS}}
    return item | {key: str(files[name]) for key, name in named.items() if name in files}
