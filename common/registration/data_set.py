"""Registration of a data set: the pairs of its cases aligned, graded and written as a folder of cases."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data.checks.volumes import CheckedVolume, on_one_grid
from ..data.datalist import POOLS, SPLITS, Item, write_datalist
from ..data.degraded_pairs import PairFolders, save_volume
from ..data.layouts.folders import DEFAULT_MASK
from ..data.split_record import DATALIST_NAME
from ..errors import ConfigError, DataError, OutputError, failure, some
from ..files import as_cell, remove, require_file_name, require_own_folder, write_text, write_whole, write_whole_folder
from ..io import VolumeReader
from ..io.itk_files import itk_image, simpleitk
from ..transforms.body import distance_from_body
from ..units import HU_OF_AIR
from .align import Alignment, Grid, align, mask_on, on_grid, working
from .inputs import Inputs, Registration, read_case
from .page import checkerboards, write_page
from .quality import array, measure, without_needless_move, without_needless_warp

logger = logging.getLogger(__name__)
RECORD = "registration.json"
PAGE = "registration.html"
TRANSFORM = "transform.h5"
MARGIN_MM = 6.0
"""Rim of air around the body in which the metric is measured as well: between skin and air is the clearest edge."""
REGISTERED, KEPT, LEFT_OUT = "registered", "kept", "left out"


def register_cases(
    lists: Mapping[str, Sequence[Item]],
    out: Path,
    plan: Registration,
    reader: VolumeReader | None = None,
    overwrite: bool = False,
) -> int:
    """Register every case and write its volumes, transform and record, ``out/<case>/FILE``, and a page of all.

    A case that fails is left out, or kept by ``plan.keep_failed``, and named at the end; the others are written. The
    sections of a datalist become ``out/datalist.json``; patients who are not named like their case
    ``out/patients.csv``.

    Args:
        lists: cases by section, or under any other name where they have none.
        out: folder of the results.
        plan: names and settings.
        reader: of the volumes.
        overwrite: replace cases that exist.

    Returns:
        number of cases.

    Raises:
        OutputError: ``out`` holds something and ``overwrite`` is false, or what this project did not write.
        CasesFailedError: naming the cases that were left out, after the others.
    """
    names = (*plan.sources, plan.target)
    for name in names:
        require_file_name(name, "volume", ".nii.gz", ConfigError)
    folders = PairFolders(RECORD, (TRANSFORM, *(f"{name}.nii.gz" for name in names)))
    items = [(section, item) for section, own in lists.items() for item in own]
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise OutputError(f"{out} (from --out) is not empty", "pass --overwrite or another --out")
    for _, item in items:
        require_own_folder(out / str(item["case"]), folders.is_own)
    records: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    written: dict[str, list[Item]] = {section: [] for section in lists}
    for section, item in tqdm(items, desc="register", unit="case", disable=None):
        folder = out / str(item["case"])
        record, picture = _register(item, folder, plan, folders, reader or VolumeReader())
        records.append(record)
        pictures |= {} if picture is None else {record["case"]: picture}
        if record["result"] == LEFT_OUT:
            remove(folder)
        else:
            written[section].append(_item(item, folder, plan))
    _write_lists(written, out)
    write_text(out / RECORD, json.dumps({"settings": asdict(plan), "cases": records}, indent=2) + "\n")
    write_page(out / PAGE, records, pictures)
    if kept := [record["case"] for record in records if record["result"] == KEPT]:
        logger.warning(f"{len(kept)} of {len(items)} cases failed the quality gate and are kept: {some(kept)}")
    if reasons := {record["case"]: record["fault"] for record in records if record["result"] == LEFT_OUT}:
        raise failure(reasons, len(items), out / RECORD)
    return len(items)


def _register(
    item: Item, folder: Path, plan: Registration, folders: PairFolders, reader: VolumeReader
) -> tuple[dict[str, Any], bytes | None]:
    """Register one case; its record, and its checkerboards where it came so far."""
    case = str(item["case"])
    record: dict[str, Any] = {"case": case, "result": LEFT_OUT, "fault": "", "quality": None}
    try:
        inputs = read_case(item, plan, reader)
        fixed, moving = (inputs.scans[names[0]] for names in (plan.still, plan.moved))
        here, there = (working(volume.values, volume.affine) for volume in (fixed, moving))
        outlines = [distance_from_body(volume.values, volume.affine, MARGIN_MM) for volume in (fixed, moving)]
        bodies = [(distance <= 0, affine) for distance, affine in outlines]
        alignment = _aligned(case, here, there, (_region(inputs, plan, outlines[0]), bodies[1]), plan)
        body = array(mask_on(bodies[0], here)) > 0
        if plan.deform:
            alignment = without_needless_warp(here, there, body, alignment)
        alignment = without_needless_move(here, there, body, alignment)
    except DataError as error:
        return record | {"fault": str(error)}, None
    quality = measure(here, there, body, bodies[1], alignment)
    record["quality"] = asdict(quality)
    if fault := "; ".join(quality.faults(plan.limits)):
        remedy = f"look at it in {PAGE}: another patient's scan, one cut off, or a deformation"
        record |= {"fault": f"{case}: {fault}: {remedy}", "result": KEPT if plan.keep_failed else LEFT_OUT}
    else:
        record["result"] = REGISTERED
    if record["result"] != LEFT_OUT:
        write = partial(_write, inputs=inputs, alignment=alignment, plan=plan, record=record, folders=folders)
        write_whole_folder(folder, write, folders.is_own)
    after = f"mutual information {quality.information[0]:.3f} to {quality.information[1]:.3f}"
    logger.info(f"{case}: {record['result']}, {after}, Dice {quality.dice[1]:.3f}, {quality.displacement:.1f} mm")
    return record, checkerboards(here, there, body, fixed.affine, alignment)


def _aligned(case: str, here: Any, there: Any, masks: tuple[Grid, Grid], plan: Registration) -> Alignment:
    try:
        return align(here, there, masks, plan.deform, plan.centred)
    except RuntimeError as error:  # of ITK, where too few voxels overlap
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{case}: ITK cannot align the volumes ({reason})", "pass --centred, or exclude it") from error


def _region(inputs: Inputs, plan: Registration, outline: Grid) -> Grid:
    """Where the metric is measured: the mask on the fixed grid, otherwise the body and a rim of air."""
    mask = inputs.masks.get(DEFAULT_MASK)
    if mask is not None and on_one_grid(inputs.scans[plan.still[0]], mask):
        return mask.values > 0, mask.affine
    return outline[0] <= MARGIN_MM, outline[1]


def _write(
    folder: Path, inputs: Inputs, alignment: Alignment, plan: Registration, record: Mapping[str, Any],
    folders: PairFolders,
) -> None:  # fmt: skip
    """Write the volumes of a case; what moves is resampled once, onto the grid of what stays."""
    fixed, moving = (inputs.scans[names[0]] for names in (plan.still, plan.moved))
    grid = itk_image(np.zeros(fixed.shape, np.uint8), fixed.affine, plan.still[0])
    inside = array(mask_on((np.ones(moving.shape, bool), moving.affine), grid, alignment.whole)) > 0
    like = inputs.paths[plan.still[0]]
    for name in plan.still:
        save_volume(like, fixed.affine, inputs.scans[name].values, folder / f"{name}.nii.gz", "as given")
    for name in plan.moved:
        values = resampled(inputs.scans[name], grid, alignment, HU_OF_AIR if name in plan.ct else None)
        save_volume(like, fixed.affine, values, folder / f"{name}.nii.gz", f"registered to {plan.still[0]}")
    for name, mask in inputs.masks.items():
        own = mask.values > 0
        if not on_one_grid(fixed, mask):
            own = array(mask_on((own, mask.affine), grid, alignment.whole)) > 0
        save_volume(like, fixed.affine, own & inside, folder / f"{name}.nii.gz", name, "uint8")
    write_whole(folder / TRANSFORM, lambda path: simpleitk().WriteTransform(alignment.whole, path))
    settings = {"from": plan.still[0], "to": plan.moved[0], "version": simpleitk().Version_VersionString()}
    folders.write_record(folder, {**record, "settings": asdict(plan), "transform": settings})


def resampled(scan: CheckedVolume, grid: Any, alignment: Alignment, outside: float | None) -> np.ndarray:
    """A volume on another grid (X, Y, Z), by cubic B-splines within the range of its values.

    Args:
        scan: to move.
        grid: image of ITK.
        alignment: from the points of the grid to those of the volume.
        outside: value where the volume does not reach; None for its minimum.
    """
    low, high = float(scan.values.min()), float(scan.values.max())
    outside = low if outside is None else outside
    image = itk_image(scan.values, scan.affine, "volume")
    moved = array(on_grid(image, grid, simpleitk().sitkBSpline, alignment.whole, outside))
    clipped: np.ndarray = np.clip(moved, min(low, outside), high)
    return clipped


def _item(item: Item, folder: Path, plan: Registration) -> Item:
    """The item with the paths of what was written."""
    images = [str(folder / f"{name}.nii.gz") for name in plan.sources]
    paths = {"image": images if len(images) > 1 else images[0], "label": str(folder / f"{plan.target}.nii.gz")}
    return item | paths | {path.name[:-7]: str(path) for path in folder.glob("*.nii.gz") if path.name[:-7] in item}


def _write_lists(written: Mapping[str, list[Item]], out: Path) -> None:
    if set(written) <= {*SPLITS, *POOLS}:
        write_datalist(dict(written), out / DATALIST_NAME)
        return
    rows = [(item["case"], item.get("patient", item["case"])) for items in written.values() for item in items]
    if any(case != patient for case, patient in rows):
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("case", "patient"), *(map(as_cell, row) for row in rows)])
        write_text(out / "patients.csv", table.getvalue())
