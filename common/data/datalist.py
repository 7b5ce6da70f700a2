"""Datalists: JSON in MONAI's decathlon format, with patient-level splits."""

from __future__ import annotations

import json
import logging
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ..case_keys import GROUPS, ITEM_KEYS, PATH_KEYS
from ..errors import ConfigError, DataError, choose
from ..files import require_file_name, write_text
from ..seeds import derive
from .case_names import name_cases
from .splits import require_counts, sizes_by_fraction

logger = logging.getLogger(__name__)

Item = dict[str, Any]

SPLITS = ("training", "validation", "test")
POOLS = ("training_A", "training_B")
"""Sections of unpaired training, whose source and target scans are drawn independently; scans are under ``image``."""
PROVENANCE = ("layout", "root", "seed", "fractions", "counts", "test_centres", "names")
"""What ``synthesize datalist`` writes beside the cases: how they were found and split."""


def load_datalist(path: str | Path, must_exist: bool = True) -> dict[str, list[Item]]:
    """Read and validate a datalist; other top-level keys, such as its provenance, are ignored with a log line.

    A case without a name gets one by :func:`common.data.case_names.name_cases`; the section ``test`` may list the paths
    of images alone.

    Args:
        path: of the JSON file.
        must_exist: whether a file that is listed but does not exist is an error.

    Returns:
        the lists of ``SPLITS`` and ``POOLS`` that the file holds; paths are absolute, ``patient`` is always set.

    Raises:
        DataError: not JSON, unknown key, missing ``image`` or file, name that is no file name, duplicate case, cases
            that need a name, patient in two splits or with a control character in its id.
    """
    path = Path(os.path.abspath(path))
    content = _parse(path)
    sections = _named_sections(content, path.name)
    lists = {key: _items(key, value, path, must_exist) for key, value in sections.items()}
    lists = one_spelling(lists, path.name)
    others = {key: content[key] for key in content if key not in sections}
    for key, value in others.items():
        if isinstance(value, list) and (_is_misspelt(key) or any(isinstance(entry, dict) for entry in value)):
            raise DataError(f"{path.name}: unknown list of cases '{key}'", _hint(key))
    if not any(lists.values()):
        raise DataError(f"{path.name} has no cases", f"fill {', '.join(SPLITS)}")
    _check_duplicates(lists, path.name)
    check_leaks(lists, path.name)
    if (strange := [key for key in others if key not in PROVENANCE]) and must_exist:
        logger.info(f"data: metadata of {path.name} are not used: {', '.join(strange)}")
    return lists


def split_by_patient(
    items: Iterable[Item],
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    counts: Sequence[int] | None = None,
) -> dict[str, list[Item]]:
    """Split cases by patient; the split depends on the seed, not on the order of the cases.

    Args:
        items: cases with ``case`` and, where it differs, ``patient``.
        fractions: of training, validation and test; see :func:`common.data.splits.sizes_by_fraction`.
        seed: of the random order of the patients.
        counts: patients of training, validation and test instead of fractions; a warning gives the number of
            further patients, which are not used.

    Raises:
        ConfigError: for invalid fractions or counts.
        DataError: for fewer patients than the counts need, or a control character in an id.
    """
    patients: dict[str, list[Item]] = {}
    items = one_spelling({"": list(items)})[""]
    for item in sorted(items, key=lambda item: item["case"]):
        patients.setdefault(_patient(item), []).append(item)
    names = sorted(patients)
    sizes = require_counts(len(names), counts) if counts is not None else sizes_by_fraction(len(names), fractions)
    if unused := len(names) - sum(sizes):
        logger.warning("split: %d of %d patients are not used with counts %s", unused, len(names), sizes)
    shuffled = iter([names[i] for i in np.random.default_rng(seed).permutation(len(names))])
    chosen = {key: {next(shuffled) for _ in range(size)} for key, size in zip(SPLITS, sizes, strict=True)}
    return {key: [item for name in names if name in chosen[key] for item in patients[name]] for key in SPLITS}


def with_fold(lists: Mapping[str, list[Item]], fold: int, folds: int = 5, seed: int = 0) -> dict[str, list[Item]]:
    """One of several folds of a split: its patients for validation, the others of training and validation to train on.

    The test section stays as it is. Every patient is in the validation of exactly one fold; the folds depend on the
    seed, not on the order of the cases.

    Args:
        lists: cases by section.
        fold: 0 to ``folds - 1``.
        folds: how many.
        seed: of the random order of the patients.

    Raises:
        ConfigError: for a fold out of range.
        DataError: for fewer patients than folds.
    """
    if type(folds) is not int or folds < 2 or type(fold) is not int or not 0 <= fold < folds:
        raise ConfigError(f"--fold {fold} is none of {folds} folds", f"give a whole number from 0 to {folds - 1}")
    cases = sorted((item for key in SPLITS[:2] for item in lists.get(key, [])), key=lambda item: item["case"])
    names = sorted({_patient(item) for item in cases})
    if len(names) < folds:
        fault = f"training and validation have {len(names)} patients for {folds} folds"
        raise DataError(fault, "add patients, lower --data::folds, or pass --fold null")
    own = {names[i] for i in np.random.default_rng(derive(seed, folds)).permutation(len(names))[fold::folds]}
    parts = ([item for item in cases if (_patient(item) in own) is chosen] for chosen in (False, True))
    return {**lists, **dict(zip(SPLITS[:2], parts, strict=True))}


def write_datalist(lists: dict[str, list[Item]], path: str | Path, **provenance: Any) -> None:
    """Write sections and :data:`PROVENANCE` atomically.

    Paths below the folder of the datalist are written relative to it.

    Raises:
        OutputError: for a path that cannot be written.
    """
    path = Path(os.path.abspath(path))
    content = provenance | {key: [_with_paths(item, path.parent, relative) for item in lists[key]] for key in lists}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def one_spelling(lists: Mapping[str, list[Item]], name: str = "data") -> dict[str, list[Item]]:
    """Cases in which patient ids that differ by case or surrounding space alone are replaced by the first of them.

    Such ids are one patient's, typed twice; a warning lists them.

    Raises:
        DataError: for an id with a control character.
    """
    spelled: dict[str, set[str]] = {}
    for item in (item for items in lists.values() for item in items):
        patient = _patient(item)
        if any(unicodedata.category(letter) == "Cc" for letter in patient):
            raise DataError(f"{name}: patient id {patient!r} has a control character", "remove it")
        spelled.setdefault(_as_spoken(patient), set()).add(patient)
    several = {key: sorted(ids) for key, ids in spelled.items() if len(ids) > 1}
    for ids in several.values():
        logger.warning(f"{name}: {', '.join(map(repr, ids))} are read as one patient: give one spelling")
    return {
        key: [
            item | {"patient": several[one][0].strip()} if (one := _as_spoken(_patient(item))) in several else item
            for item in items
        ]
        for key, items in lists.items()
    }


def _as_spoken(patient: str) -> str:
    return unicodedata.normalize("NFC", patient).strip().casefold()


def check_leaks(lists: dict[str, list[Item]], name: str = "datalist") -> None:
    """Refuse patient leaks: a patient in more than one of training (pools included), validation and test.

    Raises:
        DataError: naming the patient and both sections.
    """
    seen: dict[str, str] = {}
    for key, items in lists.items():
        for item in items:
            patient = _patient(item)
            other = seen.setdefault(patient, key)
            if key != other and not (key.startswith("training") and other.startswith("training")):
                fault = f"{name}: patient '{patient}' is in {other} and {key} (leak)"
                raise DataError(fault, "split by patient, not by case")


def _patient(item: Item) -> str:
    return str(item.get("patient", item["case"]))


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the datalist {path} ({error})", "check its path and JSON") from error
    except RecursionError as error:
        raise DataError(f"cannot read the datalist {path} (nested too deeply)", "write flat JSON") from error
    if not isinstance(content, dict):
        fault = f"{path.name} is a {type(content).__name__}, not a JSON object"
        raise DataError(fault, "wrap it in an object with a key 'training'")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON without repeated keys; Python would silently keep the last of them."""
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} more than once in one object")
    return dict(pairs)


def _named_sections(content: dict[str, Any], file: str) -> dict[str, Any]:
    """The sections of a file; test cases become objects, and cases get names."""
    sections = {key: content[key] for key in content if key in (*SPLITS, *POOLS)}
    if isinstance(images := sections.get("test"), list):
        sections["test"] = [{"image": each} if isinstance(each, str) else each for each in images]
    for group in (SPLITS, POOLS[:1], POOLS[1:]):
        listed = [sections[key] for key in group if isinstance(sections.get(key), list)]
        name_cases([item for items in listed for item in items], file)
    return sections


def _items(key: str, items: object, path: Path, must_exist: bool) -> list[Item]:
    if not isinstance(items, list):
        raise DataError(f"{path.name}: {key} is a {type(items).__name__}, not a list of cases", "write [{...}, ...]")
    places = [f"{path.name}, {key}[{number}]" for number in range(len(items))]
    return [_item(place, item, path.parent, must_exist) for place, item in zip(places, items, strict=True)]


def _item(place: str, item: object, folder: Path, must_exist: bool) -> Item:
    if not isinstance(item, dict):
        raise DataError(f"{place} is {item!r}, not a JSON object", 'write {"case": ..., "image": ...}')
    for key in item:
        if key not in ITEM_KEYS:
            raise DataError(f"{place}: unknown key '{key}'", _hint(key, ITEM_KEYS))
    for key in ("case", "patient", "class", *GROUPS):
        if not (isinstance(item.get(key, "-"), str) and item.get(key, "-")):
            raise DataError(f"{place}: '{key}' is {item[key]!r}", "write a text that is not empty")
    if "image" not in item:
        raise DataError(f"{place} has no 'image', only the keys {sorted(item)}", "add 'image'")
    for key in PATH_KEYS:
        if key in item:
            named = f"{place}, case '{item['case']}'" if "case" in item else place
            _check_paths(named, key, item[key], folder, must_exist)
    if "case" in item:
        require_file_name(item["case"], f"{place}: case")
    return {"patient": item["case"]} | _with_paths(item, folder, absolute)


def _check_paths(place: str, key: str, value: object, folder: Path, must_exist: bool) -> None:
    paths: list[Any] = value if isinstance(value, list) and key == "image" else [value]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise DataError(f"{place}: '{key}' is {value!r}", "write a path (image: or a list of them)")
    for path in paths if must_exist else ():
        if not Path(absolute(path, folder)).exists():
            remedy = f"correct the path; relative paths start at {folder}"
            raise DataError(f"{place}: no file at {path} (from '{key}')", remedy)


def _check_duplicates(lists: dict[str, list[Item]], name: str) -> None:
    groups = [[(key, item) for key in SPLITS for item in lists.get(key, [])]]
    groups += [[(key, item) for item in lists.get(key, [])] for key in POOLS]
    for group in groups:
        seen: dict[str, str] = {}
        for key, item in group:
            if item["case"] in seen:
                fault = f"{name}: case '{item['case']}' is in {seen[item['case']]} and again in {key}"
                raise DataError(fault, "remove or rename one of them")
            seen[item["case"]] = key


def _with_paths(item: Item, folder: Path, change: Any) -> Item:
    def changed(value: Any) -> Any:
        return [change(path, folder) for path in value] if isinstance(value, list) else change(value, folder)

    return {key: changed(value) if key in PATH_KEYS else value for key, value in item.items()}


def absolute(path: str | Path, folder: Path) -> str:
    """The absolute form of a path in a datalist of this folder."""
    return os.path.abspath(folder / path)


def relative(path: str | Path, folder: Path) -> str:
    """The form of a path in a datalist of this folder: relative where it is below the folder."""
    whole = Path(os.path.abspath(path))
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def _is_misspelt(key: str) -> bool:
    return bool(get_close_matches(key, (*SPLITS, *POOLS), 1, 0.8))


def _hint(key: str, known: Sequence[str] = (*SPLITS, *POOLS)) -> str:
    nearest = get_close_matches(key, known, 1, 0.5)
    return f"did you mean '{nearest[0]}'?" if nearest else choose(known)
