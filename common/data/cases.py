"""Case selection: datalist, folder layout or generated phantoms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import devices
from ..config.record import RunRecord
from ..errors import ConfigError, DataError, Finding, choose, some
from ..io import VolumeReader
from ..io.dicom.reading.headers import holds_series
from ..io.modality import FAULT, SOURCE_MODALITY
from ..io.reader import KSPACE, VOLUMES, volume_stem
from .checks.cases import check_cases, require_clean
from .datalist import POOLS, SPLITS, Item, load_datalist, split_by_patient, with_fold
from .layouts.folders import find_cases
from .layouts.studies import nested_series, require_whole_series
from .origins import Origin, cases_of_program, require_dir
from .run_split import Lists
from .selection import ALL, announce_split, new_record, select_lists
from .split_record import DATALIST_NAME, Cases, SplitRecord, require_files

logger = logging.getLogger(__name__)
NOT_READ = (".mgz", ".mgh", ".nii.bz2", ".nii.xz", ".nii.zst", ".hdr", ".img", ".mnc", ".par")
"""Endings of unsupported volumes: next to others they are cases that fail."""
SCORED = "scored"
"""The section of the validation cases whose metrics this process computes."""


def training_cases(
    dataset_dir: str,
    demo_data: str,
    phantoms: Callable[[Path], None],
    run_dir: str,
    datalist: str | None = None,
    source: str = "mr",
    target: str = "ct",
    mask: str = "mask",
    seed: int = 0,
    reader: VolumeReader | None = None,
    source_range: Any = None,
    target_range: Sequence[float] | None = None,
    target_unclipped: bool = False,
    data_check: bool = True,
    keep_split: bool = False,
    held_out: bool = False,
    target_dir: str | None = None,
    fold: int | None = None,
    folds: int = 5,
    record: RunRecord | None = None,
) -> Cases:
    """Select and check the cases of a training or an evaluation; nothing is written but phantoms.

    A new run gets the record of its split, which :class:`common.training.handlers.RunFolder` writes. Resume and
    evaluation keep the split of the run in ``run_dir``, whose cases are recognised by their content; see
    :class:`common.data.run_split.RunSplit`. Where a program gave the training its own cases, as MONAI Label does, all
    sections are empty.

    Sections are ``training`` (pairs; empty for unpaired data), ``training_A`` and ``training_B`` (unpaired pools: those
    of the datalist, otherwise sources and targets of ``training``), ``validation`` and ``test``. An item of pool B has
    its scan under ``label``. ``scored`` is this process's share of the validation cases with a target.

    Args:
        dataset_dir: holds ``<case>/<name>.nii.gz`` (or folders ``<case>/<name>`` with a DICOM series), or a
            ``datalist.json`` of its files; the default of a bundle is ``demo_data``.
        demo_data: folder of the phantoms, which are generated if ``dataset_dir`` is this folder and does not exist.
        phantoms: writes the phantoms.
        run_dir: holds ``datalist.json``, the record of the split, for resume and evaluation.
        datalist: JSON file in MONAI's decathlon format, instead of ``dataset_dir``.
        source: file name of the source without suffix; channels separated by commas, as many as ``in_channels``.
        target: file name of the target.
        mask: file name of the mask.
        seed: of the split by patient, 70 : 15 : 15.
        reader: of the volumes.
        source_range: window of the source, or one per channel, against which cases are checked; see
            :func:`common.data.checks.cases.check_cases`.
        target_range: window of the target against which cases are checked.
        target_unclipped: whether the training keeps values of the target beyond its window.
        data_check: whether every case is read and checked.
        keep_split: for a resume: the split of the run again, without added cases.
        held_out: for an evaluation: keep the cases of the run, and test cases that it has not seen.
        target_dir: for unpaired training from two folders: ``dataset_dir`` holds the sources, this one the targets,
            and there is neither validation nor test.
        fold: of a new run: the fold of its training and validation cases that validates, 0 to ``folds - 1``; see
            :func:`common.data.datalist.with_fold`. None: as they were split.
        folds: how many folds there are.
        record: of the command, whose options name the data; see :class:`common.data.origins.Origin`.

    Raises:
        DataError: for a folder or file that does not exist, an empty pool, unusable cases, which are all named, an
            image in two sections, or a split of the run that cannot be kept.
        ConfigError: for a datalist that the run would replace.
    """
    if cases_of_program(record) is not None:
        return Cases({section: [] for section in (*SPLITS, *POOLS, SCORED)})
    origin = Origin(dataset_dir, demo_data, phantoms, datalist, record=record)
    find = partial(_find, origin, target_dir, source, target, mask)

    def select() -> Cases:
        split = partial(split_by_patient, seed=seed)
        lists, kept = select_lists(origin, run_dir, find, split, reader, keep_split, held_out)
        if fold is not None and not kept:
            lists = {**lists, **with_fold(lists, fold, folds, seed)}
        if not held_out:
            _require_training(lists)
        announce_split(lists)
        checked = {**lists, POOLS[1]: [as_target(item) for item in lists[POOLS[1]]]}
        if data_check:
            keep = devices.world_size() == 1  # volumes read here are of no use to other processes
            ranges = {"source_range": source_range, "target_range": target_range, "target_unclipped": target_unclipped}
            require_clean(check_cases(checked, reader, keep=keep, images=len(source.split(",")), **ranges))
        return Cases(checked, None if kept else new_record(lists, reader, seed, origin))

    cases = devices.from_first(select)
    scored = devices.shard([item for item in cases["validation"] if "label" in item])
    pools = {} if any(cases[pool] for pool in POOLS) else dict.fromkeys(POOLS, cases["training"])
    return Cases({**cases, SCORED: scored, **pools}, cases.record)


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

    ``dataset_dir`` may be one file (NIfTI, MetaImage, NRRD), a folder of such files, a folder with a DICOM series, a
    folder of such folders (one per case), a folder of cases as in training, or of nested studies
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
    """The volumes directly in a folder; the log counts hidden files, such as those of macOS, and names folders."""
    paths = sorted(path for path in root.iterdir() if path.name.lower().endswith((*VOLUMES, *NOT_READ)))
    if not any(path.name.lower().endswith(VOLUMES) for path in paths):
        return []
    files = [path for path in paths if not path.name.startswith(".")]
    if len(files) < len(paths):
        logger.info(f"data: {len(paths) - len(files)} hidden files of {root} are ignored")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if files and folders:
        logger.warning(f"data: {len(folders)} folders next to the volumes of {root} are ignored: {some(folders)}")
    return files


def _cases_or_series(root: Path, source: str, modality: str | None) -> list[Item]:
    try:
        return find_cases(root, "folders", source, None, None)
    except DataError:
        first, *others = source.split(",")
        held = (path for folder in root.iterdir() if folder.is_dir() for path in folder.iterdir())
        is_of_cases = any(path.name.startswith(f"{first}.") or path.name == first for path in held)
        if others or is_of_cases or not (items := nested_series(root, modality)):
            raise
        logger.info(f"data: {len(items)} DICOM series below {root}, each a case")
        return items


def _find(origin: Origin, target_dir: str | None, source: str, target: str, mask: str) -> Lists:
    """The sections of a datalist, the pools of two folders, or the cases of a folder under ``ALL``."""
    if origin.listed is not None:
        return load_datalist(origin.listed)
    folder = require_dir(origin.dataset_dir)
    if target_dir is None:
        return {ALL: find_cases(folder, "folders", source, target, mask)}
    targets = find_cases(require_dir(target_dir), "folders", target, None, mask)
    return dict(zip(POOLS, (find_cases(folder, "folders", source, None, mask), targets), strict=True))


def _require_training(lists: Lists) -> None:
    if not any("label" in item for item in lists["validation"]):
        logger.warning("data: no validation cases, so that the last epoch is kept rather than the best")
    for section in POOLS if any(lists[pool] for pool in POOLS) else ("training",):
        if not lists[section]:
            counts = ", ".join(f"{name} {len(items)}" for name, items in lists.items())
            raise DataError(f"section {section} has no cases ({counts})", "add cases, or write a datalist")
    lacking = [item["case"] for item in lists["training"] if "label" not in item]
    if 0 < len(lacking) < len(lists["training"]):
        fault = f"{len(lacking)} of {len(lists['training'])} training cases have no label ({some(lacking)})"
        raise DataError(fault, "add their labels, or exclude these cases")


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


def as_target(item: Item) -> Item:
    """An item of pool B with its scan, ``image`` in the datalist, as ``label``."""
    return {"label" if key == "image" else key: value for key, value in item.items()}


def _files(paths: Sequence[Path]) -> list[Item]:
    """A case for each file; one of two files, or of a format that is not read, fails alone when it is inferred."""
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(volume_stem(path), []).append(path)
    return [{"case": name, "image": str(own[0])} | _fault(name, own) for name, own in files.items()]


def _fault(name: str, files: Sequence[Path]) -> Item:
    """Why the files of a case cannot be read, as an entry of the case."""
    listed = ", ".join(path.name for path in files)
    if not files[0].name.lower().endswith((*VOLUMES, *KSPACE)):
        return {FAULT: str(Finding(name, listed, f"not one of {', '.join(VOLUMES)}", "", "convert it to NIfTI"))}
    fault = Finding(name, listed, "several files of one case", "", "keep one of them")
    return {FAULT: str(fault)} if len(files) > 1 else {}
