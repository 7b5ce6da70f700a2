"""Reading of a study's key and of the answers that its pages saved."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, some
from ..files import parse_json, text_of_cell
from .questions import PAIR
from .study import study_id

COLUMNS = ("study", "page", "reader", "position", "trial", "answer", "confidence", "seconds")
KEY_ENTRIES = {"study", "pixels", "question", "choices", "confidence", "design", "about", "pages"}
TRIAL_ENTRIES = {"trial", "item", "answer", "mirrored", "repeat", "images"}
IMAGE_ENTRIES = {"kind", "class", "case"}
SAVE_AGAIN = "save it again from the page"
AS_SAVED = "use the file as the page saved it"
AS_WRITTEN = "use the key.json as it was written with the study"


@dataclass(frozen=True)
class Answer:
    """Answer of a reader to one trial.

    Args:
        reader: name or code.
        position: on the page, from 1.
        item: number of the trial, alike on all pages.
        truth: the correct choice.
        given: the choice of the reader.
        seen: the choice as page 1 would have it: the two images of a trial may have changed places.
        kind: ``real``, ``synthetic``, or empty for a real and a synthetic image together.
        label: class of the image asked for; empty without.
        case: class and case of the image asked for; trials of one case are not independent.
        repeat: whether the reader saw the trial before.
        seconds: from its appearance to the confirmed answer.
        confidence: 1 to 5; None where it was not asked for.
    """

    reader: str
    position: int
    item: int
    truth: str
    given: str
    seen: str
    kind: str
    label: str
    case: str
    repeat: bool
    seconds: float
    confidence: int | None

    @property
    def correct(self) -> bool:
        """Whether the answer is the correct choice."""
        return self.given == self.truth


Key = dict[str, Any]


def read_key(path: Path) -> Key:
    """The key of a study.

    Raises:
        DataError: for a file that is none.
    """
    try:
        key = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read --key {path} ({reason})", "pass the key.json of the study") from error
    if not (isinstance(key, dict) and key.keys() >= KEY_ENTRIES and isinstance(key["pages"], list) and key["pages"]):
        raise DataError(f"--key {path} is another JSON file", "pass the key.json of the study")
    choices = key["choices"]
    if not (isinstance(choices, list) and len(choices) > 1 and isinstance(key["confidence"], list)):
        raise DataError(f"--key {path} has no list of choices or of confidences", AS_WRITTEN)
    for page in key["pages"]:
        if not (isinstance(page, list) and page and all(_is_trial(trial, choices) for trial in page)):
            raise DataError(f"--key {path} has a page without a valid list of trials", AS_WRITTEN)
    if key["study"] != study_id(key):
        fault = f"--key {path} was changed, its content does not match its study's id"
        raise DataError(fault, f"{AS_WRITTEN}, or make the study again")
    return key


def _is_trial(trial: Any, choices: Sequence[str]) -> bool:
    if not (isinstance(trial, dict) and trial.keys() >= TRIAL_ENTRIES and trial["answer"] in choices):
        return False
    images = trial["images"]
    return (
        isinstance(images, list)
        and 0 < len(images) < 3
        and all(isinstance(image, dict) and image.keys() >= IMAGE_ENTRIES for image in images)
    )


def read_answers(paths: Sequence[Path], key: Mapping[str, Any]) -> list[Answer]:
    """Answers of all readers, by reader and position.

    Raises:
        DataError: for a file that is none of answers, answers to another study, to trials that the page does not have,
            given twice or missing, of a choice that there was not, of two files under one reader's name, or of one file
            under two.
    """
    rows: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
    names: dict[str, str] = {}
    for path in paths:
        for number, row in enumerate(_rows(path), start=2):
            name = text_of_cell(row["reader"]).strip()
            row["reader"] = names.setdefault(name.casefold(), name)  # one reader, typed in two ways
            rows[row["reader"]].append((f"{path.name}, line {number}", row))
    by_reader = {reader: _of_reader(reader, rows[reader], key) for reader in sorted(rows)}
    _require_no_copies(by_reader)
    return [answer for answers in by_reader.values() for answer in answers]


def _require_no_copies(by_reader: Mapping[str, Sequence[Answer]]) -> None:
    """Refuse two readers who gave the same answers in the same milliseconds: one file under two names."""
    seen: dict[tuple[Answer, ...], str] = {}
    for reader, answers in by_reader.items():
        other = seen.setdefault(tuple(replace(answer, reader="") for answer in answers), reader)
        if other != reader:
            fault = f"the answers of reader {reader} are a copy of those of {other}"
            raise DataError(fault, "pass the file of each reader once")


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, strict=True)
            rows = list(table)
    except OSError as error:
        raise DataError(f"cannot read --answers {path} ({error.strerror})", "check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--answers {path} is not a CSV file in UTF-8 ({error})", SAVE_AGAIN) from error
    lacking = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if lacking or not rows:
        raise DataError(f"--answers {path} has no {f'column {some(lacking)}' if lacking else 'answers'}", SAVE_AGAIN)
    broken = next((number for number, row in enumerate(rows, start=2) if None in row or None in row.values()), None)
    if broken:
        raise DataError(f"{path.name}, line {broken} has fewer or more fields than the first line", SAVE_AGAIN)
    return rows


def _of_reader(reader: str, rows: Sequence[tuple[str, dict[str, str]]], key: Mapping[str, Any]) -> list[Answer]:
    if not reader.strip():
        raise DataError(f"{rows[0][0]} names no reader", "add the name")
    for where, row in rows:
        if row["study"] != key["study"]:
            fault = f"{where} answers the study {row['study']!r}, the key is of {key['study']}"
            raise DataError(fault, "pass the key of that study")
    numbers = {row["page"] for _, row in rows}
    known = [str(number) for number in range(1, len(key["pages"]) + 1)]
    if len(numbers) > 1 or not numbers <= set(known):
        fault = f"reader {reader} answers page {some(sorted(numbers))}, not one page of {', '.join(known)}"
        raise DataError(fault, f"give each reader another name, or {AS_SAVED}")
    trials = {trial["trial"]: trial for trial in key["pages"][int(numbers.pop()) - 1]}
    found: dict[str, Answer] = {}
    for where, row in rows:
        trial = trials.get(row["trial"])
        if trial is None:
            raise DataError(f"{where} answers trial {row['trial']!r}, which the page does not have", AS_SAVED)
        if row["trial"] in found:
            fault = f"{where} is a second answer of {reader} to trial {row['trial']}"
            raise DataError(fault, "give each reader another name, and pass each file once")
        found[row["trial"]] = _answer(where, row, trial, key)
    if missing := [name for name in trials if name not in found]:
        fault = f"reader {reader} has no answers to {len(missing)} of {len(trials)} trials ({some(missing)})"
        raise DataError(fault, "let the reader finish, and save the file again")
    places = {name: place for place, name in enumerate(trials, start=1)}
    misplaced = next((name for name, answer in found.items() if answer.position != places[name]), None)
    if misplaced is not None:
        fault = f"reader {reader} has trial {misplaced} at position {found[misplaced].position}"
        raise DataError(f"{fault}, the page at {places[misplaced]}", AS_SAVED)
    return sorted(found.values(), key=lambda answer: answer.position)


def _answer(where: str, row: Mapping[str, str], trial: Mapping[str, Any], key: Mapping[str, Any]) -> Answer:
    choices, levels = list(key["choices"]), list(key["confidence"])
    if row["answer"] not in choices:
        raise DataError(f"{where} answers {row['answer']!r}, not one of {some(choices)}", AS_SAVED)
    if row["confidence"] not in ([str(level) for level in levels] or [""]):
        asked = f"not {levels[0]} to {levels[-1]}" if levels else "which the study does not ask for"
        raise DataError(f"{where} has confidence {row['confidence']!r}, {asked}", AS_SAVED)
    seconds, position = _number(where, "seconds", row["seconds"]), _number(where, "position", row["position"])
    turned = choices[1 - choices.index(row["answer"])] if trial["mirrored"] else row["answer"]
    images = trial["images"]
    asked = images[choices.index(trial["answer"])] if key["design"] == PAIR else images[0]
    kinds = {image["kind"] for image in images}
    return Answer(
        reader=row["reader"],
        position=int(position),
        item=int(trial["item"]),
        truth=str(trial["answer"]),
        given=row["answer"],
        seen=turned,
        kind=kinds.pop() if len(kinds) == 1 else "",
        label=str(asked["class"]),
        case="/".join(part for part in (asked["class"], asked["case"]) if part),
        repeat=bool(trial["repeat"]),
        seconds=seconds,
        confidence=int(row["confidence"]) if levels else None,
    )


def _number(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f"{where} has {name} {text!r}, not a number of at least 0", AS_SAVED)
    return value
