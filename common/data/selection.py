"""The cases of a training or an evaluation: a new split, or the one that the run in its folder has."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import devices
from ..config.record import RunRecord
from ..errors import DataError, some
from ..io import VolumeReader
from .checks.before_training import check_cases, require_clean
from .checks.duplicates import copies
from .datalist import POOLS, SPLITS, Item, load_datalist, split_by_patient, with_fold
from .identity import identify, masks_of
from .layouts.folders import cases_of_folders
from .origins import Origin, cases_of_program, require_dir
from .run_split import Lists, RunSplit
from .split_record import DATALIST_NAME, Cases, SplitRecord

logger = logging.getLogger(__name__)
ALL = "all"
"""The section of cases that are not split yet."""
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
            :func:`common.data.checks.before_training.check_cases`.
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


def _find(origin: Origin, target_dir: str | None, source: str, target: str, mask: str) -> Lists:
    """The sections of a datalist, the pools of two folders, or the cases of a folder under ``ALL``."""
    if origin.listed is not None:
        return load_datalist(origin.listed)
    folder = require_dir(origin.dataset_dir)
    if target_dir is None:
        return {ALL: cases_of_folders(folder, source, target, mask)}
    targets = cases_of_folders(require_dir(target_dir), target, None, mask)
    return dict(zip(POOLS, (cases_of_folders(folder, source, None, mask), targets), strict=True))


def _require_training(lists: Lists) -> None:
    if not any("label" in item for item in lists["validation"]):
        which = "validation cases with a label" if lists["validation"] else "validation cases"
        logger.warning(f"data: no {which}, so that the last epoch is kept rather than the best")
    for section in POOLS if any(lists[pool] for pool in POOLS) else ("training",):
        if not lists[section]:
            counts = ", ".join(f"{name} {len(items)}" for name, items in lists.items())
            raise DataError(f"section {section} has no cases ({counts})", "add cases, or write a datalist")
    lacking = [item["case"] for item in lists["training"] if "label" not in item]
    if 0 < len(lacking) < len(lists["training"]):
        fault = f"{len(lacking)} of {len(lists['training'])} training cases have no label ({some(lacking)})"
        raise DataError(fault, "add their labels, or exclude these cases")


def as_target(item: Item) -> Item:
    """An item of pool B with its scan, ``image`` in the datalist, as ``label``."""
    return {"label" if key == "image" else key: value for key, value in item.items()}


def select_lists(
    origin: Origin,
    run_dir: str,
    find: Callable[[], Lists],
    split: Callable[[Sequence[Item]], Lists],
    reader: VolumeReader | None = None,
    keep_split: bool = False,
    held_out: bool = False,
) -> tuple[Lists, bool]:
    """The cases of a command by section, and whether they are those of an earlier run's split.

    Args:
        origin: of the data.
        run_dir: of the run.
        find: the cases that ``origin`` has, by section, or under ``ALL`` to be split.
        split: divides cases into sections.
        reader: of the volumes.
        keep_split: for a resume; see :meth:`common.data.run_split.RunSplit.resumed`.
        held_out: for an evaluation; see :meth:`common.data.run_split.RunSplit.evaluated`.

    Raises:
        DataError: for missing data, or a split that cannot be kept.
        ConfigError: for a datalist that a new run would replace.
    """
    kept = None
    if keep_split or held_out:
        kept = RunSplit(Path(run_dir), reader) if Path(run_dir, DATALIST_NAME).is_file() else None
        if kept is None:
            logger.warning(f"{run_dir} has no {DATALIST_NAME}: its training cases are not known")
    else:
        origin.require_other_than(run_dir)
    if kept is None or origin.given or origin.is_phantoms(kept.root):
        origin.announce()
    if kept is None:
        lists = find()
        lists = split(lists[ALL]) if ALL in lists else lists
    else:
        found = find() if origin.given else None
        lists = kept.evaluated(found, origin.name, origin.datalist is not None) if held_out else kept.resumed(found)
    return {section: lists.get(section, []) for section in (*SPLITS, *POOLS)}, kept is not None


def announce_split(lists: Lists) -> None:
    """Log how many cases, or patches by class, the sections of a command have."""
    pools = dict(zip(POOLS, ("training sources", "training targets"), strict=True))
    counts = {pools.get(section, section): len(items) for section, items in lists.items()}
    shown = {name: count for name, count in counts.items() if count or name in SPLITS and name != "training"}
    kind = "patches" if any("class" in item for items in lists.values() for item in items) else "cases"
    parts = ", ".join(f"{count} {name}" for name, count in shown.items())
    logger.info(f"data: {sum(counts.values())} {kind}: {parts}")


def new_record(lists: Lists, reader: VolumeReader | None, seed: int, origin: Origin) -> SplitRecord:
    """The record of a new split, in which no image is in two sections.

    Raises:
        DataError: naming the cases and sections that share an image, or a file that cannot be read.
    """
    files = identify([item for items in lists.values() for item in items], reader)
    require_clean(copies(lists, files))
    files |= identify(masks_of(item for items in lists.values() for item in items), reader)  # a resume compares them
    return SplitRecord(lists, files, {"seed": seed, "root": os.path.abspath(origin.name)})
