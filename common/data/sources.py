"""The cases of an inference: files, series, folders, a datalist, the test cases of a run, or generated phantoms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import devices
from ..config.record import RunRecord
from ..errors import ConfigError, DataError, Finding, choose, some
from ..io.dicom.reading.headers import holds_series
from ..io.modality import FAULT, SOURCE_MODALITY
from ..io.picture_files import PICTURES
from ..io.reader import KSPACE, VOLUMES, volume_stem
from .datalist import SPLITS, Item, load_datalist, split_by_patient
from .layouts.folders import cases_of_folders
from .layouts.studies import nested_series, require_whole_series
from .origins import Origin, require_dir
from .split_record import DATALIST_NAME, SplitRecord, require_files

logger = logging.getLogger(__name__)
NOT_READ = (".nii.bz2", ".nii.xz", ".nii.zst", ".hdr", ".img", ".mnc", ".par")
"""Endings of unsupported volumes: next to others they are cases that fail."""


def inference_cases(
    dataset_dir: str,
    demo_data: str,
    phantoms: Callable[[Path], None],
    datalist: str | None = None,
    source: str = "mr",
    seed: int = 0,
    key: str = "image",
    run_dir: str | None = None,
    source_modality: str | None = None,
    accept_modality: bool = False,
    section: str = "test",
    record: RunRecord | None = None,
) -> list[Item]:
    """Select the cases to synthesise from; no target is needed.

    ``dataset_dir`` may be one file (NIfTI, MetaImage, NRRD, a picture, k-space), a folder of such files, a folder with
    a DICOM series, a folder of such folders (one per case), a folder of cases as in training, or of nested studies
    (``PATIENT/STUDY/SERIES``, a case for each series of ``source_modality`` that is no localizer). Of a
    datalist, of the phantoms and of a run the cases of ``section`` are used.

    ``key`` is the key of the scans in a datalist: ``label`` for a generator of the opposite direction. If the user gave
    no data, those are the test cases of the run in ``run_dir``, and phantoms where it has none.

    ``source_modality`` is that of the training's sources, such as ``MR``: an item of the cases, unless
    ``accept_modality`` or null accepts all, so that :class:`common.inference.CaseDataset` refuses another one.

    ``record`` is that of the command, whose options name the data; see :class:`common.data.origins.Origin`.

    Raises:
        ConfigError: for another section than training, validation and test.
        DataError: for no cases at ``dataset_dir``, or a case of the datalist without such a scan.
    """
    if section not in SPLITS:
        raise ConfigError(f"--data::section is {section!r}", choose(SPLITS))
    modality = None if accept_modality else source_modality
    origin = Origin(dataset_dir, demo_data, phantoms, datalist, record=record)
    split = None if run_dir is None or origin.given else _record_with(section, run_dir)
    if devices.rank() == 0:
        if split is None or origin.is_phantoms(split.root):
            origin.announce()
        if split is not None:
            logger.info(f"data: the {len(split.lists[section])} {section} cases of the split of {run_dir}")
    devices.barrier()
    if split is not None:
        require_files(split.lists[section], str(run_dir))
        items = [_with_image(item, key) for item in split.lists[section]]
    elif origin.listed is not None:
        items = [_with_image(item, key) for item in _section_of(origin.listed, section)]
    elif Path(dataset_dir).is_file():
        items = _files([Path(dataset_dir)])
    elif holds_series(Path(dataset_dir)):
        folder = Path(dataset_dir).resolve()
        items = [{"case": folder.name, "image": str(folder)}]
    elif files := _volumes(require_dir(dataset_dir)):
        items = _files(files)
    else:
        items = _cases_or_series(Path(dataset_dir), source, modality)
        if origin.is_phantoms(dataset_dir):
            items = split_by_patient(items, seed=seed)[section]
    if not items:
        raise DataError(f"no cases to infer in {origin.name}", "give volumes")
    _require_channels(items, source)
    require_whole_series(items, origin.name)
    wanted = {} if modality is None else {SOURCE_MODALITY: modality}
    return [{key: item[key] for key in ("case", "patient", "image", FAULT) if key in item} | wanted for item in items]


def _volumes(root: Path) -> list[Path]:
    """The volumes directly in a folder, else its pictures, else its files of k-space.

    The log counts hidden files, such as those of macOS, and names folders.
    """
    held = sorted(root.iterdir())
    kinds = (VOLUMES, PICTURES, KSPACE)
    read = next((kind for kind in kinds if any(path.name.lower().endswith(kind) for path in held)), None)
    if read is None:
        return []
    paths = [path for path in held if path.name.lower().endswith((*read, *NOT_READ))]
    files = [path for path in paths if not path.name.startswith(".")]
    if len(files) < len(paths):
        logger.info(f"data: {len(paths) - len(files)} hidden files of {root} are ignored")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if files and folders:
        logger.warning(f"data: {len(folders)} folders next to the volumes of {root} are ignored: {some(folders)}")
    return files


def _cases_or_series(root: Path, source: str, modality: str | None) -> list[Item]:
    try:
        return cases_of_folders(root, source, None, None)
    except DataError:
        first, *others = source.split(",")
        held = (path for folder in root.iterdir() if folder.is_dir() for path in folder.iterdir())
        is_of_cases = any(path.name.startswith(f"{first}.") or path.name == first for path in held)
        if others or is_of_cases or not (items := nested_series(root, modality)):
            raise
        logger.info(f"data: {len(items)} DICOM series below {root}, each a case")
        return items


def _record_with(section: str, run_dir: str) -> SplitRecord | None:
    """The record of the split of a run that has cases in a section; None without one."""
    path = Path(run_dir, DATALIST_NAME)
    record = SplitRecord.read(path) if path.is_file() else None
    return record if record is not None and record.lists.get(section) else None


def _require_channels(items: Sequence[Item], source: str) -> None:
    """Refuse a list of images that is not as long as the network's channels; one file may hold several."""
    count = len(source.split(","))
    for item in items:
        if isinstance(images := item["image"], list) and len(images) != count:
            fault = f"{item['case']} has {len(images)} images in a list, --source names {count} ({source})"
            raise DataError(fault, "give the network's channels")


def _section_of(datalist: str, section: str) -> list[Item]:
    """The cases of a section of a datalist, at least one."""
    lists = load_datalist(datalist)
    if not lists.get(section):
        others = {name: len(lists[name]) for name in reversed(SPLITS) if lists.get(name)}
        counts = ", ".join(f"{name} {count}" for name, count in others.items()) or "none in other sections"
        remedy = f"add cases to it, or pass --data::section {next(iter(others))}" if others else "add cases to it"
        raise DataError(f"section {section} of {datalist} has no cases to infer ({counts})", remedy)
    return lists[section]


def _with_image(item: Item, key: str) -> Item:
    """The item with the scan under ``key`` as its image."""
    if key not in item:
        fault = f"{item['case']} has no scan to translate under {key}, only {', '.join(sorted(item))}"
        raise DataError(fault, f"add {key}")
    return {**item, "image": item[key]}


def _files(paths: Sequence[Path]) -> list[Item]:
    """A case for each file; one of two files, or of a format that is not read, fails alone when it is inferred."""
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(volume_stem(path), []).append(path)
    return [{"case": name, "image": str(own[0])} | _fault(name, own) for name, own in files.items()]


def _fault(name: str, files: Sequence[Path]) -> Item:
    """Why the files of a case cannot be read, as an entry of the case."""
    listed = ", ".join(path.name for path in files)
    if not files[0].name.lower().endswith((*VOLUMES, *PICTURES, *KSPACE)):
        return {FAULT: str(Finding(name, listed, f"not one of {', '.join(VOLUMES)}", "", "convert it to NIfTI"))}
    fault = Finding(name, listed, "several files of one case", "", "keep one of them")
    return {FAULT: str(fault)} if len(files) > 1 else {}
