"""Patches by class: discovery on disk, checks, and the split by patient."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from common import devices
from common.config.record import RunRecord
from common.data.checks.cases import require_clean
from common.data.datalist import SPLITS, Item, load_datalist, one_spelling, split_by_patient
from common.data.layouts.folders import patients_of
from common.data.origins import Origin, require_dir
from common.data.run_split import Lists
from common.data.selection import ALL, announce_split, new_record, select_lists
from common.data.split_record import Cases
from common.errors import DataError, choose
from common.io.reader import NIFTI, volume_stem
from lesion_dcgan_aug.data.checks import check_patches

FRACTIONS = (0.6, 0.15, 0.25)
"""Shares of patients for training, validation and test; the evaluation compares sets and needs many test patches."""
LAYOUT = "DIR/<class>/<patch>.nii.gz with DIR/patients.csv (case,patient)"
NO_PATIENTS = "so that a patient could be on both sides of a split"
ONE_EACH = "or pass --one_patient_per_file true where every file is another patient"


def lesion_cases(
    dataset_dir: str,
    demo_data: str,
    phantoms: Callable[[Path], None],
    run_dir: str,
    classes: Sequence[str],
    datalist: str | None = None,
    seed: int = 0,
    keep_split: bool = False,
    held_out: bool = False,
    one_patient_per_file: bool = False,
    data_check: bool = True,
    record: RunRecord | None = None,
) -> Cases:
    """The patches for training, validation and test, checked; nothing is written but phantoms.

    The split of a new run, and that of an earlier one, are handled as in :func:`common.data.selection.training_cases`.

    Args:
        dataset_dir: holds ``datalist.json`` (see ``synthesize datalist --layout rois``), else a folder of NIfTI files
            per class, with ``patients.csv`` (``case,patient``) next to them.
        demo_data: where phantoms are generated if ``dataset_dir`` is this folder and it does not exist.
        phantoms: writes them.
        run_dir: holds ``datalist.json``, the record of the split, for resume and evaluation.
        classes: names of the classes, in the order of the networks' one-hot input.
        datalist: instead of ``dataset_dir``; its items also have ``class``.
        seed: of the split.
        keep_split: for a resume: the split of the run again, without added patches.
        held_out: for an evaluation: training and validation patches of the run, and a test that it has not seen.
        one_patient_per_file: whether each patch without a patient is its own patient. Otherwise these are refused.
        data_check: whether to read and check every patch; see
            :func:`lesion_dcgan_aug.data.checks.check_patches`.
        record: of the command, whose options name the data; see :class:`common.data.origins.Origin`.

    Raises:
        DataError: patients are missing, patches cannot be used, a section lacks a class, a patch is in two sections, or
            the split of the run cannot be kept.
        ConfigError: for a datalist that the run would replace.
    """
    origin = Origin(dataset_dir, demo_data, phantoms, datalist, LAYOUT, record)
    find = partial(_find, origin, classes, one_patient_per_file)

    def select() -> Cases:
        split = partial(split_lesions, fractions=FRACTIONS, seed=seed)
        chosen, kept = select_lists(origin, run_dir, find, split, None, keep_split, held_out)
        lists = {section: chosen[section] for section in SPLITS}
        require_classes(lists, classes)
        announce_split(lists)
        if data_check:
            require_clean(check_patches([item for items in lists.values() for item in items]))
        return Cases(lists, None if kept else new_record(lists, None, seed, origin))

    return devices.from_first(select)


def _find(origin: Origin, classes: Sequence[str], one_patient_per_file: bool) -> Lists:
    """The sections of a datalist, or the patches of a folder under ``ALL``."""
    if origin.listed is not None:
        lists = load_datalist(origin.listed)
        _require_patients(Path(origin.listed), one_patient_per_file)
        return lists
    return {ALL: find_patches(require_dir(origin.dataset_dir), classes, one_patient_per_file)}


def find_patches(root: Path, classes: Sequence[str], one_patient_per_file: bool = False) -> list[Item]:
    """Patches in one folder per class.

    Raises:
        DataError: there are no patches, or their patients are not known.
    """
    files = {name: _files(root / name) for name in classes}
    if not any(files.values()):
        raise DataError(f"no patches in {root}, such as {LAYOUT}", "correct --dataset_dir or --classes")
    cases = [(f"{name}_{volume_stem(path)}", name, path) for name in classes for path in files[name]]
    if not one_patient_per_file and not (root / "patients.csv").is_file():
        remedy = f"add {root / 'patients.csv'} (case,patient; a case is <class>_<file>), {ONE_EACH}"
        raise DataError(f"no patients.csv in {root}, {NO_PATIENTS}", remedy)
    patients = patients_of(root, [case for case, _, _ in cases], None)
    return [{"case": c, "patient": patients[c], "class": name, "image": str(path)} for c, name, path in cases]


def split_lesions(items: Iterable[Item], fractions: Sequence[float], seed: int) -> dict[str, list[Item]]:
    """Split by patient, stratified by the patients' sets of lesion classes, so that no section lacks a class."""
    items = one_spelling({"": list(items)})[""]
    classes: dict[str, set[str]] = defaultdict(set)
    for item in items:
        classes[item["patient"]].add(item["class"])
    strata: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in items:
        strata[tuple(sorted(classes[item["patient"]]))].append(item)
    parts = [split_by_patient(strata[key], fractions, seed) for key in sorted(strata)]
    return {section: [item for part in parts for item in part[section]] for section in SPLITS}


def require_classes(lists: Mapping[str, Sequence[Item]], classes: Sequence[str]) -> None:
    """Refuse sections that lack a class, and patches of an unknown class; the test section may be empty.

    Raises:
        DataError: a section lacks a class, or a class is unknown.
    """
    for items in lists.values():
        for item in items:
            if item.get("class") not in classes:
                fault = f"{item['case']} has class {item.get('class')!r}, which --classes does not list"
                raise DataError(fault, choose(classes))
    needed = {section: items for section, items in lists.items() if items or section != "test"}
    for name in classes:
        counts = {section: sum(item["class"] == name for item in items) for section, items in needed.items()}
        if min(counts.values()) < 2:
            each = ", ".join(f"{section} {count}" for section, count in counts.items())
            remedy = "add patches of more patients, or remove the class from --classes"
            raise DataError(f"class {name} has fewer than two patches in a section ({each})", remedy)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(NIFTI)) if folder.is_dir() else []


def _require_patients(datalist: Path, one_each: bool) -> None:
    """Refuse a datalist without patients: each case would count as its own patient, which must be stated."""
    content = json.loads(datalist.read_text(encoding="utf-8"))
    items = [item for section in SPLITS for item in content.get(section, [])]
    lacking = [item["case"] for item in items if "patient" not in item]
    if lacking and not one_each:
        fault = f"{datalist.name}: {len(lacking)} patches have no patient, first {lacking[0]}, {NO_PATIENTS}"
        raise DataError(fault, f"add 'patient' to every item, {ONE_EACH}")
