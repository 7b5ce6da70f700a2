"""Scores of the readers of a study: accuracy with intervals, errors by kind, learning, agreement, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import binomtest

from .answers import Answer
from .image_folders import REAL, SYNTHETIC
from .intervals import cohen, crossed_interval, fleiss, newcombe, trend, wilson
from .questions import OF_CLASS, OF_KIND, PAIR

POOLED = "pooled"
FEW_READERS = 5
"""Below this number of readers the interval of the pooled accuracy is rough."""


@dataclass(frozen=True)
class Estimate:
    """Value with its interval at 95 %, None where there is none, of n answers."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


Measures = dict[str, Estimate]


@dataclass(frozen=True)
class Scores:
    """Scores of a study.

    Args:
        study: its name.
        question: as readers saw it.
        chance: accuracy of guesses.
        readers: measures of each reader; those of ``pooled`` are means over readers.
        confusion: of single images: by reader and kind (``all``, ``real``, ``synthetic``), truth and answer.
        agreement: between readers.
        notes: on what the numbers do not say.
    """

    study: str
    question: str
    chance: float
    readers: dict[str, Measures]
    confusion: dict[str, dict[str, dict[str, dict[str, int]]]] = field(default_factory=dict)
    agreement: Measures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def scores_of(key: Mapping[str, Any], answers: Sequence[Answer]) -> Scores:
    """Scores of all readers. Answers to repeated trials count for the agreement of a reader's own answers alone."""
    names = list(dict.fromkeys(answer.reader for answer in answers))
    once = {name: [one for one in answers if one.reader == name and not one.repeat] for name in names}
    again = {name: [one for one in answers if one.reader == name and one.repeat] for name in names}
    chance = 1 / len(key["choices"])
    parts = _parts(key)
    readers = {name: _measures(once[name], again[name], chance, parts) for name in names}
    clustered = any(count > 1 for count in Counter(answer.case for answer in once[names[0]]).values())
    if clustered:
        for name in names:
            readers[name]["accuracy_over_cases"] = _crossed(once[name], [name])
    if len(names) > 1:
        label = POOLED if POOLED not in readers else f"{POOLED} (all readers)"
        readers[label] = _pooled([one for name in names for one in once[name]], names, parts)
    confusion = {}
    if key["design"] != PAIR:
        confusion = {name: _confusions(once[name], key["choices"]) for name in names}
    notes = _notes(clustered, len(names))
    agreement = _agreement(once, key["choices"])
    return Scores(str(key["study"]), str(key["question"]), chance, readers, confusion, agreement, notes)


def _notes(clustered: bool, readers: int) -> list[str]:
    notes = []
    if clustered:
        narrow = "Several trials show one case: Wilson's intervals take them as independent and are too narrow; "
        notes.append(narrow + "accuracy_over_cases draws cases instead.")
    if 1 < readers < FEW_READERS:
        notes.append(f"With {readers} readers the pooled interval says little about other readers.")
    if readers == 1:
        notes.append("One reader: nothing here is about readers in general.")
    return notes


def _parts(key: Mapping[str, Any]) -> dict[str, Callable[[Answer], bool]]:
    """Answers that have an accuracy of their own, by its name."""
    if key["design"] == PAIR and key["about"] == OF_KIND:
        return {}
    if key["about"] == OF_KIND:
        return {"sensitivity": lambda one: one.kind == SYNTHETIC, "specificity": lambda one: one.kind == REAL}
    parts: dict[str, Callable[[Answer], bool]] = {}
    if key["design"] != PAIR and key["about"] != OF_CLASS:
        parts |= {"sensitivity": lambda one: one.truth == "yes", "specificity": lambda one: one.truth == "no"}
    return parts | {"real": lambda one: one.kind == REAL, "synthetic": lambda one: one.kind == SYNTHETIC}


def _measures(
    once: Sequence[Answer], again: Sequence[Answer], chance: float, parts: Mapping[str, Callable[[Answer], bool]]
) -> Measures:
    found = {"accuracy": _share(once)}
    found["p_chance"] = Estimate(float(binomtest(_correct(once), len(once), chance).pvalue), n=len(once))
    found |= {name: _share([one for one in once if belongs(one)]) for name, belongs in parts.items()}
    if "synthetic" in parts:
        sets = [[one for one in once if parts[name](one)] for name in ("real", "synthetic")]
        found["synthetic_minus_real"] = _change(*sets)
    half = len(once) // 2
    if half:
        found |= {"first_half": _share(once[:half]), "second_half": _share(once[half:])}
        found["learning"] = _change(once[:half], once[half:])
    correct = np.array([one.correct for one in once], float)
    slope = trend(correct, np.arange(len(once), dtype=float))
    found["p_trend"] = Estimate(None if slope is None else slope[1], n=len(once))
    found["z_trend"] = Estimate(None if slope is None else slope[0], n=len(once))
    quartiles = np.percentile([one.seconds for one in once], [25, 50, 75]).tolist()
    for name, value in zip(("seconds_quartile_1", "seconds_median", "seconds_quartile_3"), quartiles, strict=True):
        found[name] = Estimate(value, n=len(once))
    if again:
        before = {one.item: one for one in once}
        same = sum(one.seen == before[one.item].seen for one in again)
        found["repeats_same"] = Estimate(same / len(again), *wilson(same, len(again)), len(again))
        kappa = cohen([before[one.item].seen for one in again], [one.seen for one in again])
        found["repeats_kappa"] = Estimate(kappa, n=len(again))
    levels = sorted({one.confidence for one in once if one.confidence is not None})
    return found | {f"confidence_{level}": _share([one for one in once if one.confidence == level]) for level in levels}


def _correct(answers: Sequence[Answer]) -> int:
    return sum(one.correct for one in answers)


def _share(answers: Sequence[Answer]) -> Estimate:
    if not answers:
        return Estimate(None, n=0)
    count = len(answers)
    return Estimate(_correct(answers) / count, *wilson(_correct(answers), count), count)


def _change(first: Sequence[Answer], second: Sequence[Answer]) -> Estimate:
    if not first or not second:
        return Estimate(None, n=len(first) + len(second))
    (k1, n1), (k2, n2) = ((_correct(part), len(part)) for part in (first, second))
    return Estimate(k2 / n2 - k1 / n1, *newcombe((k1, n1), (k2, n2)), n1 + n2)


def _crossed(answers: Sequence[Answer], names: Sequence[str], late: Sequence[bool] | None = None) -> Estimate:
    """Mean over answers, or of the late ones minus the early ones, with the interval over readers and cases."""
    correct = np.array([one.correct for one in answers], float)
    places = {case: place for place, case in enumerate(dict.fromkeys(one.case for one in answers))}
    readers = np.array([names.index(one.reader) for one in answers])
    cases = np.array([places[one.case] for one in answers])
    second = None if late is None else np.array(late)
    low, high = crossed_interval(correct, readers, cases, second) or (None, None)
    value = correct.mean() if second is None else correct[second].mean() - correct[~second].mean()
    return Estimate(float(value), low, high, len(answers))


def _pooled(answers: Sequence[Answer], names: Sequence[str], parts: Mapping[str, Callable[[Answer], bool]]) -> Measures:
    found = {"accuracy": _crossed(answers, names)}
    subsets = {name: [one for one in answers if belongs(one)] for name, belongs in parts.items()}
    found |= {name: _crossed(subset, names) for name, subset in subsets.items() if subset}
    if subsets.get("real") and subsets.get("synthetic"):
        found["synthetic_minus_real"] = _crossed(answers, names, [parts["synthetic"](one) for one in answers])
    places = {name: [one.position for one in answers if one.reader == name] for name in names}
    halves = {name: len(found) // 2 for name, found in places.items()}
    late = [places[one.reader].index(one.position) >= halves[one.reader] for one in answers]
    if any(late) and not all(late):
        for name, wanted in (("first_half", False), ("second_half", True)):
            subset = [one for one, is_late in zip(answers, late, strict=True) if is_late == wanted]
            found[name] = _crossed(subset, names)
        found["learning"] = _crossed(answers, names, late)
    found["seconds_median"] = Estimate(float(np.median([one.seconds for one in answers])), n=len(answers))
    return found


def _confusions(answers: Sequence[Answer], choices: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by truth and answer, of all images and of each kind."""
    sets = {"all": answers, **{kind: [one for one in answers if one.kind == kind] for kind in (REAL, SYNTHETIC)}}
    counts = {name: Counter((one.truth, one.given) for one in subset) for name, subset in sets.items()}
    return {
        name: {truth: {given: count[truth, given] for given in choices} for truth in choices}
        for name, count in counts.items()
    }


def _agreement(once: Mapping[str, Sequence[Answer]], choices: Sequence[str]) -> Measures:
    """Cohen's kappa and share of equal answers of each two readers, and Fleiss' kappa of three or more."""
    seen = {name: [one.seen for one in sorted(part, key=lambda one: one.item)] for name, part in once.items()}
    found: Measures = {}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        same = sum(a == b for a, b in zip(first, second, strict=True))
        found[f"same: {one}, {other}"] = Estimate(same / len(first), n=len(first))
        found[f"cohen: {one}, {other}"] = Estimate(cohen(first, second), n=len(first))
    if len(seen) > 2:
        table = np.array([[row.count(choice) for choice in choices] for row in zip(*seen.values(), strict=True)])
        found["fleiss"] = Estimate(fleiss(table), n=len(table))
    return found
