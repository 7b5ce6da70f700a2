"""Case selection: datalist, folder layout or generated phantoms."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import devices
from common.data.checks.cases import check_cases, require_clean
from common.data.datalist import POOLS, SPLITS, Item, load_datalist, split_by_patient, write_datalist
from common.data.layouts.folders import find_cases
from common.errors import DataError
from common.io import VolumeReader
from common.io.dicom.reading.headers import holds_series
from common.running_config import require_placed

logger = logging.getLogger(__name__)
DATALIST_NAME = "datalist.json"
SCORED = "scored"
"""The section of the validation cases whose metrics this process computes."""
NIFTI = (".nii", ".nii.gz")


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
    data_check: bool = True,
    keep_split: bool = False,
    target_dir: str | None = None,
) -> dict[str, list[Item]]:
    """Select and check the cases of a training, and write them to ``run_dir/datalist.json``.

    Sections are ``training`` (pairs; empty for unpaired data), ``training_A`` and ``training_B`` (unpaired pools: those
    of the datalist, otherwise sources and targets of ``training``), ``validation`` and ``test``. An item of pool B has
    its scan under ``label``. ``scored`` is this process's share of the validation cases with a target.

    Args:
        dataset_dir: holds ``<case>/<name>.nii.gz`` (or folders ``<case>/<name>`` with a DICOM series), or a
            ``datalist.json`` of its files; the default of a bundle is ``demo_data``.
        demo_data: folder of the phantoms, which are generated if ``dataset_dir`` is this folder and does not exist.
        phantoms: writes the phantoms.
        run_dir: receives the datalist as a record of the split.
        datalist: JSON file in MONAI's decathlon format, instead of ``dataset_dir``.
        source: file name of the source without suffix; channels separated by commas, as many as ``in_channels``.
        target: file name of the target.
        mask: file name of the mask.
        seed: of the split by patient, 70 : 15 : 15.
        reader: of the volumes.
        source_range: window of the source, or one per channel, against which cases are checked; see
            :func:`common.data.checks.cases.check_cases`.
        target_range: window of the target against which cases are checked.
        data_check: whether every case is read and checked.
        keep_split: for evaluation and resume: use the split in ``run_dir`` if it is of the same data, and write none,
            so that added cases cannot move a training case into the test set.
        target_dir: for unpaired training from two folders: ``dataset_dir`` holds the sources, this one the targets,
            and there is neither validation nor test.

    Raises:
        DataError: for a folder or file that does not exist, an empty pool, or unusable cases, which are all named.
    """
    require_placed()
    if devices.rank() == 0:
        announce(dataset_dir, demo_data, datalist, phantoms)
    devices.barrier()
    kept = Path(run_dir, DATALIST_NAME)
    new_run = not keep_split
    keep_split = keep_split and datalist is None and root_of(kept) == os.path.abspath(dataset_dir)
    listed = datalist or (str(kept) if keep_split else listed_in(dataset_dir))
    if listed is not None:
        lists = load_datalist(listed)
    elif target_dir is not None:
        pools = (
            find_cases(require_dir(dataset_dir), "folders", source, None, mask),
            find_cases(require_dir(target_dir), "folders", target, None, mask),
        )
        lists = dict(zip(POOLS, pools, strict=True))
    else:
        lists = split_by_patient(find_cases(require_dir(dataset_dir), "folders", source, target, mask), seed=seed)
    lists = {section: lists.get(section, []) for section in (*SPLITS, *POOLS)}
    paired = not any(lists[pool] for pool in POOLS)
    if not any("label" in item for item in lists["validation"]):
        logger.warning("data: no validation cases, so that the last epoch is kept rather than the best")
    for section in ("training",) if paired else POOLS:
        if not lists[section]:
            counts = ", ".join(f"{name} {len(items)}" for name, items in lists.items())
            raise DataError(f"section {section}", "has at least one case", counts, "add cases, or write a datalist")
    checked = {**lists, POOLS[1]: [_as_target(item) for item in lists[POOLS[1]]]}
    if devices.rank() == 0:
        if data_check:
            keep = devices.world_size() == 1  # volumes read here are of no use to other processes
            ranges = {"source_range": source_range, "target_range": target_range}
            require_clean(check_cases(checked, reader, keep=keep, **ranges))
        if new_run:
            filled = {section: items for section, items in lists.items() if items}
            write_datalist(filled, kept, seed=seed, root=os.path.abspath(datalist or dataset_dir))
    scored = devices.shard([item for item in checked["validation"] if "label" in item])
    return {**checked, SCORED: scored, **(dict.fromkeys(POOLS, checked["training"]) if paired else {})}


def inference_cases(
    dataset_dir: str,
    demo_data: str,
    phantoms: Callable[[Path], None],
    datalist: str | None = None,
    source: str = "mr",
    seed: int = 0,
    key: str = "image",
) -> list[Item]:
    """Select the cases to synthesise from; no target is needed.

    ``dataset_dir`` may be one NIfTI file, a folder of NIfTI files, a folder with a DICOM series, a folder of such
    folders (one per case), or a folder of cases as in training. Of a datalist the section ``test`` is used, and of the
    phantoms the test cases of the training split.

    ``key`` is the key of the scans in a datalist: ``label`` for a generator of the opposite direction.

    Raises:
        DataError: for no cases at ``dataset_dir``, or a case of the datalist without such a scan.
    """
    require_placed()
    if devices.rank() == 0:
        announce(dataset_dir, demo_data, datalist, phantoms)
    devices.barrier()
    if listed := datalist or listed_in(dataset_dir):
        items = [_with_image(item, key) for item in load_datalist(listed).get("test", [])]
    elif Path(dataset_dir).is_file():
        items = _files([Path(dataset_dir)])
    elif holds_series(Path(dataset_dir)):
        folder = Path(dataset_dir).resolve()
        items = [{"case": folder.name, "image": str(folder)}]
    elif files := sorted(path for path in require_dir(dataset_dir).iterdir() if path.name.endswith(NIFTI)):
        items = _files(files)
    else:
        items = find_cases(dataset_dir, "folders", source, None, None)
        if _is_same_path(dataset_dir, demo_data):
            items = split_by_patient(items, seed=seed)["test"]
    if not items:
        raise DataError(datalist or dataset_dir, "has cases to infer (section test)", "none", "give volumes")
    return [{key: item[key] for key in ("case", "patient", "image") if key in item} for item in items]


def announce(
    dataset_dir: str,
    demo_data: str,
    datalist: str | None,
    phantoms: Callable[[Path], None],
    layout: str = "DIR/<case>/<name>.nii.gz",
) -> None:
    """Log which data are used; generate phantoms if the user gave no data and no phantoms exist yet."""
    if datalist is not None:
        logger.info(f"data: {datalist}")
        return
    if not _is_same_path(dataset_dir, demo_data):
        logger.info(f"data: {dataset_dir}")
        return
    logger.warning(
        "data: no --dataset_dir or --datalist was given, so GENERATED PHANTOMS are used (no patient, no scanner). "
        f"For your own: --dataset_dir DIR with {layout}, or --datalist FILE.json"
    )
    if not Path(demo_data).exists():
        logger.info(f"generating phantoms in {demo_data}")
        phantoms(Path(demo_data))


def require_dir(dataset_dir: str) -> Path:
    """The path of an existing folder.

    Raises:
        DataError: for a folder that does not exist.
    """
    path = Path(dataset_dir)
    if not path.is_dir():
        remedy = "correct the path, or omit it for phantoms"
        raise DataError("--dataset_dir", "is an existing folder", dataset_dir, remedy)
    return path


def root_of(datalist: Path) -> str | None:
    """The data folder that the datalist of a run records; None without such a file."""
    return json.loads(datalist.read_text()).get("root") if datalist.is_file() else None


def listed_in(dataset_dir: str) -> str | None:
    """The datalist in a data folder; None without one."""
    path = Path(dataset_dir, DATALIST_NAME)
    return str(path) if path.is_file() else None


def _with_image(item: Item, key: str) -> Item:
    """The item with the scan under ``key`` as its image."""
    if key not in item:
        raise DataError(f"{item['case']}", f"has the scan to translate under {key}", sorted(item), "add it")
    return {**item, "image": item[key]}


def _as_target(item: Item) -> Item:
    """An item of pool B with its scan, ``image`` in the datalist, as ``label``."""
    return {"label" if key == "image" else key: value for key, value in item.items()}


def _is_same_path(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _files(paths: Sequence[Path]) -> list[Item]:
    names = [path.name.removesuffix(".gz").removesuffix(".nii") for path in paths]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(", ".join(sorted(twice)), "is one file", "both .nii and .nii.gz", "remove one of them")
    return [{"case": name, "image": str(path)} for name, path in zip(names, paths, strict=True)]
