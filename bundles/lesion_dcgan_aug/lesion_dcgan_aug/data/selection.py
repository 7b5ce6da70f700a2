"""Patches by class: discovery on disk, checks, and the split and folds by patient."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from common import devices
from common.config.record import RunRecord
from common.data.checks.before_training import require_clean
from common.data.datalist import SPLITS, Item, load_datalist, one_spelling, split_by_patient
from common.data.identity import content_hash, remember
from common.data.layouts.folders import patients_of
from common.data.origins import Origin, require_dir
from common.data.run_split import Lists
from common.data.selection import ALL, announce_split, new_record, select_lists
from common.data.split_record import Cases
from common.errors import ConfigError, DataError, Finding, VolumeError, choose, some
from common.io.nifti.reading import is_constant
from common.io.reader import NIFTI, VolumeReader, volume_stem
from lesion_dcgan_aug.data.rois import SIZE

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
        demo_data, phantoms, run_dir, seed, keep_split, held_out, record: see there.
        classes: names of the classes, in the order of the networks' one-hot input.
        datalist: instead of ``dataset_dir``; its items also have ``class``.
        one_patient_per_file: whether each patch without a patient is its own patient. Otherwise these are refused.
        data_check: whether to read and check every patch; see :func:`check_patches`.

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
        DataError: there are no patches, two of a class have one name, or their patients are not known.
    """
    files = [(name, path) for name in classes for path in sorted((root / name).glob("[!.]*"))]
    cases = [(f"{name}_{volume_stem(path)}", name, path) for name, path in files if path.name.lower().endswith(NIFTI)]
    if not cases:
        raise DataError(f"no patches in {root}, such as {LAYOUT}", "correct --dataset_dir or --classes")
    if repeated := [case for case, count in Counter(case for case, _, _ in cases).items() if count > 1]:
        raise DataError(f"{root} has several patches named {some(repeated)}", "rename or remove all but one")
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


def _require_patients(datalist: Path, one_each: bool) -> None:
    """Refuse a datalist without patients: each case would count as its own patient, which must be stated."""
    content = json.loads(datalist.read_text(encoding="utf-8"))
    items = [item for section in SPLITS for item in content.get(section, [])]
    lacking = [item["case"] for item in items if "patient" not in item]
    if lacking and not one_each:
        fault = f"{datalist.name}: {len(lacking)} patches have no patient, first {lacking[0]}, {NO_PATIENTS}"
        raise DataError(fault, f"add 'patient' to every item, {ONE_EACH}")


def check_patches(items: Sequence[Item]) -> list[Finding]:
    """Read every patch and report wrong shapes, constant patches, and patches that two patients share.

    The latter could leak between the sections of a split and between folds; for other copies see
    :func:`common.data.checks.duplicates.copies`.
    """
    findings: list[Finding] = []
    seen: dict[str, Item] = {}
    for item in items:
        where = partial(Finding, item["case"], Path(item["image"]).name)
        try:
            values = VolumeReader().read(item["image"], item["case"]).values
        except VolumeError as error:
            findings.append(error.finding)
            continue
        if values.shape != (SIZE, SIZE, 1):
            fault, shape = f"not {SIZE} x {SIZE} x 1 voxels", " x ".join(map(str, values.shape))
            remedy = "cut all patches to one size by synthesize datalist --layout rois"
            findings.append(where(fault, shape, remedy))
        if is_constant(values):
            findings.append(where("the patch is constant", f"{values.flat[0]:g} everywhere", "exclude it"))
            continue
        remember(item["image"], values)
        other = seen.setdefault(content_hash(values), item)
        if other["patient"] != item["patient"]:
            copied = f"that of {other['case']} of patient {other['patient']}"
            findings.append(where("the same patch of two patients", copied, "remove one, or give both one patient"))
    return findings


def patient_folds(items: Sequence[Item], folds: int, seed: int, classes: Sequence[str]) -> list[list[Item]]:
    """Folds of items by patient, each with patients of every class.

    Patients with the same set of classes are assigned in turn, in an order determined by the seed.

    Raises:
        ConfigError: there are fewer than two folds.
        DataError: a class has fewer patients than there are folds, or a fold lacks a class.
    """
    if folds < 2:
        raise ConfigError(f"--folds is {folds}, below 2", "raise it")
    owned: dict[str, set[str]] = defaultdict(set)
    for item in items:
        owned[item["patient"]].add(item["class"])
    for name in classes:
        count = sum(name in own for own in owned.values())
        if count < folds:
            remedy = "add patients, lower --folds, or remove the class from --classes"
            raise DataError(f"class {name} has {count} patients for {folds} folds", remedy)
    dealt = _deal(owned, folds, seed, classes)
    parts = [[item for item in items if dealt[item["patient"]] == fold] for fold in range(folds)]
    for fold, part in enumerate(parts):
        if lacking := [name for name in classes if not any(item["class"] == name for item in part)]:
            raise DataError(f"fold {fold} has no patches of {', '.join(lacking)}", "lower --folds, or add patients")
    return parts


def _deal(owned: dict[str, set[str]], folds: int, seed: int, classes: Sequence[str]) -> dict[str, int]:
    """Fold of each patient: the rarest sets of classes first, each to the fold with the fewest of its classes."""
    order = np.random.default_rng(seed).permutation(sorted(owned)).tolist()
    kinds = {patient: tuple(sorted(own)) for patient, own in owned.items()}
    frequency = {kind: list(kinds.values()).count(kind) for kind in set(kinds.values())}
    counts = np.zeros((folds, len(classes)), int)
    dealt = {}
    for patient in sorted(order, key=lambda patient: (frequency[kinds[patient]], kinds[patient])):
        own = [k for k, name in enumerate(classes) if name in owned[patient]]
        fold = int(np.lexsort((counts.sum(axis=1), counts[:, own].sum(axis=1)))[0])
        dealt[patient] = fold
        counts[fold, own] += 1
    return dealt
