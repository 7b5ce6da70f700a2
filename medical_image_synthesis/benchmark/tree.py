"""The files of a data set: what is missing, by name, and the split that the source has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import DataError, some
from common.files import read_rows
from medical_image_synthesis.benchmark.recipe import Recipe

if TYPE_CHECKING:
    from common.data.datalist import Item

SECTIONS = ("training", "validation", "test")
OWN = "for other cases pass a recipe of your own"


def cases_of(recipe: Recipe, root: Path) -> list[Item]:
    """The cases below ``root``, all of which are there.

    ``data`` of the recipe has a ``layout`` of :func:`common.data.layouts.data_sets.find_cases`, or ``files``: patterns
    of ``image`` (or a list of them), ``label`` and ``mask`` with ``{case}``, of which the first finds the cases.

    Raises:
        DataError: naming what is missing.
    """
    data, folder = recipe.data, root / recipe.data.get("folder", "")
    remedy = _get_from(recipe)
    if not folder.is_dir():
        raise DataError(f"no folder {folder}, where {recipe.title} has its cases", remedy)
    if "files" in data:
        items = _by_pattern(folder, data["files"], remedy)
    else:
        from common.data.layouts.data_sets import find_cases

        try:
            items = find_cases(folder, data["layout"], data["source"], data.get("target"), data.get("mask"))
        except DataError as error:
            raise DataError(str(error).partition(": ")[0], remedy) from error
    _require_all(recipe, items, folder, remedy)
    return items


def _get_from(recipe: Recipe) -> str:
    return f"get the data from {recipe.url}, and pass --root the folder that holds them"


def _by_pattern(folder: Path, files: dict[str, Any], remedy: str) -> list[Item]:
    patterns = {key: [value] if isinstance(value, str) else value for key, value in files.items()}
    first = patterns["image"][0]
    found = sorted(folder.glob(first.replace("{case}", "*")))
    name = re.escape(first).replace(r"\*", "[^/]*").replace(r"\{case\}", "(?P<case>[^/]+)", 1)
    whole = re.compile(name.replace(r"\{case\}", "(?P=case)"))
    matches = {path: whole.fullmatch(path.relative_to(folder).as_posix()) for path in found}
    cases = {match["case"]: path for path, match in matches.items() if match}
    if not cases:
        raise DataError(f"no case in {folder}, files such as {first.format(case='CASE')}", remedy)
    items: list[Item] = []
    missing = []
    for case, path in cases.items():
        item: Item = {"case": case, "patient": case}
        for key, several in patterns.items():
            paths = [path if each == first else folder / each.format(case=case) for each in several]
            missing += [str(each.relative_to(folder)) for each in paths if not each.is_file()]
            item[key] = str(paths[0]) if len(paths) == 1 else [str(each) for each in paths]
        items.append(item)
    if missing:
        raise DataError(f"{len(missing)} files are missing in {folder} ({some(missing)})", remedy)
    return items


def _require_all(recipe: Recipe, items: Sequence[Item], folder: Path, remedy: str) -> None:
    there = {str(item["case"]) for item in items}
    if "cases" in recipe.split:
        wanted = [case for names in recipe.split["cases"].values() for case in names.split()]
        if lacking := [case for case in wanted if case not in there]:
            fault = f"{len(lacking)} of {len(wanted)} cases of the split are missing in {folder} ({some(lacking)})"
            raise DataError(fault, remedy)
    wanted_count = recipe.data.get("cases", len(there))
    if len(there) != wanted_count:
        fault = f"{folder} has {len(there)} cases, of which {recipe.title} has {wanted_count}"
        raise DataError(fault, f"{remedy}; {OWN}")


def sections(recipe: Recipe, items: Sequence[Item], root: Path) -> dict[str, list[Item]]:
    """The cases of each section by the recipe's ``split``.

    It has one of ``cases`` (names by section), ``folders`` (that of an image by section), ``table`` (a CSV file with
    the columns ``case`` and ``section``, and ``names`` of sections in it), or ``counts`` or ``fractions`` with
    ``seed``; ``folders`` and ``table`` may lack validation, which gets every tenth case of the training.

    Raises:
        DataError: the table lacks a case, or there are too few patients.
    """
    split = recipe.split
    if "cases" in split:
        named = {case: section for section, names in split["cases"].items() for case in names.split()}
    elif "folders" in split:
        by_folder = {folder: section for section, folder in split["folders"].items()}
        named = {str(item["case"]): by_folder.get(Path(item["image"]).parent.name, "") for item in items}
    elif "table" in split:
        named = _of_table(split, root / recipe.data.get("folder", ""))
        if lacking := [item["case"] for item in items if item["case"] not in named]:
            raise DataError(f"{split['table']} has no row of {some(lacking)}", "get the file again")
    else:
        from common.data.datalist import split_by_patient

        fractions = split.get("fractions", (0.7, 0.15, 0.15))
        try:
            return split_by_patient(items, fractions, split["seed"], split.get("counts"))
        except DataError as error:  # its remedy is for those who choose the numbers
            raise DataError(str(error).partition(": ")[0], f"{_get_from(recipe)}; {OWN}") from error
    lists = {section: [item for item in items if named.get(item["case"]) == section] for section in SECTIONS}
    if not lists["validation"]:
        lists["validation"] = lists["training"][::10]
        lists["training"] = [item for number, item in enumerate(lists["training"]) if number % 10]
    if empty := [section for section in SECTIONS if not lists[section]]:
        raise DataError(f"no case of {recipe.title} is in section {empty[0]}", "get the data of this section")
    return lists


def _of_table(split: dict[str, Any], folder: Path) -> dict[str, str]:
    path = folder / split["table"]
    if not path.is_file():
        raise DataError(f"no {path}, which has the split", "put it there")
    rows = read_rows(path, split.get("separator", ","))
    names = split["names"]
    return {row[split["case"]]: names.get(row[split["section"]], "") for row in rows}
