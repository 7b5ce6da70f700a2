"""The question of a study, and balanced units of trials: equal numbers of what is asked about, by construction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..errors import ConfigError, DataError, some
from .image_folders import REAL, SYNTHETIC
from .slices import StudySlice

PAIR, SINGLE = "two-alternative", "single"
DESIGNS = (PAIR, SINGLE)
OF_KIND, OF_CLASS = "real", "class"
"""Questions besides the name of a class."""
MOST_CLASSES = 9
"""Each answer has a digit as its key."""
Pair = tuple[StudySlice, StudySlice]
"""Real and synthetic slice of one class and size, of one case where cases are matched."""


@dataclass(frozen=True)
class Question:
    """What readers are asked.

    Args:
        design: ``two-alternative`` or ``single``.
        about: ``real``, ``class``, or the name of a class.
        classes: of the images, sorted; empty without.

    Raises:
        ConfigError: for a question that the images cannot answer.
    """

    design: str
    about: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.about == OF_KIND:
            return
        if len(self.classes) < 2:
            fault = f"--question {self.about} needs two classes, the images have {some(self.classes) or 'none'}"
            raise ConfigError(fault, "arrange the images as DIR/<class>/<patch>, or ask for real")
        if self.about == OF_CLASS and self.design == PAIR:
            fault = f"--question class is about single images, --design is {PAIR}"
            raise ConfigError(fault, "name one class, or pass --design single")
        if self.about not in (OF_CLASS, *self.classes):
            names = some([OF_KIND, OF_CLASS, *self.classes])
            raise ConfigError(f"--question {self.about!r} is unknown", f"choose one of {names}")
        if self.about == OF_CLASS and len(self.classes) > MOST_CLASSES:
            fault = f"--question class has {len(self.classes)} classes, {MOST_CLASSES} are allowed"
            raise ConfigError(fault, "ask for one of them")

    @property
    def text(self) -> str:
        """The question as readers see it."""
        if self.design == PAIR:
            return "Which image is real?" if self.about == OF_KIND else f"Which image shows: {self.about}?"
        if self.about == OF_KIND:
            return "Is this image real or synthetic?"
        return "Which class is it?" if self.about == OF_CLASS else f"Does this image show: {self.about}?"

    @property
    def choices(self) -> tuple[str, ...]:
        """Answers, in the order of their keys."""
        if self.design == PAIR:
            return "left", "right"
        if self.about == OF_KIND:
            return REAL, SYNTHETIC
        return self.classes if self.about == OF_CLASS else ("yes", "no")


@dataclass(frozen=True)
class Trial:
    """Image, or two images, where the question is about the first; ``answer`` is empty for two.

    Args:
        slides: one or two.
        answer: the correct choice about a single image.
    """

    slides: tuple[StudySlice, ...]
    answer: str = ""


Item = TypeVar("Item")
Unit = tuple[Trial, ...]
"""Trials that are drawn together, so that the numbers stay equal."""


def matched(
    real: Sequence[StudySlice], synthetic: Sequence[StudySlice], all_shown: bool, rng: np.random.Generator
) -> list[Pair]:
    """Random pairs of a real and a synthetic slice of the same class and size.

    Args:
        real: slices.
        synthetic: slices.
        all_shown: whether every slice must be in a pair; otherwise those left over are not shown.
        rng: of the pairs.

    Raises:
        DataError: for unequal numbers where all are shown, or no pair at all.
    """
    groups: dict[tuple[str, tuple[float, ...]], tuple[list[StudySlice], list[StudySlice]]] = defaultdict(
        lambda: ([], [])
    )
    for index, slides in enumerate((real, synthetic)):
        for number in rng.permutation(len(slides)):
            groups[slides[number].label, slides[number].size][index].append(slides[number])
    unequal = [_group(key, *found) for key, found in sorted(groups.items()) if len(found[0]) != len(found[1])]
    pairs = [pair for _, found in sorted(groups.items()) for pair in zip(*found, strict=False)]
    if unequal and (all_shown or not pairs):
        fault = f"--real and --synthetic hold unequal numbers of images ({some(unequal)})"
        raise DataError(fault, "add or remove images, bring them to one size, or draw equal numbers by --trials")
    return pairs


def _group(key: tuple[str, tuple[float, ...]], real: Sequence[StudySlice], synthetic: Sequence[StudySlice]) -> str:
    label, (rows, columns, aspect) = key
    shape = f"{rows} x {columns} pixels" + (f" of aspect {aspect:g}" if aspect != 1 else "")
    return f"{f'{label}, ' if label else ''}{shape}: {len(real)} real, {len(synthetic)} synthetic"


def units_of(question: Question, pairs: Sequence[Pair], all_shown: bool, rng: np.random.Generator) -> list[Unit]:
    """All units of trials that pairs of real and synthetic slices give.

    For the question about one class, images of the others are drawn in equal number.

    Args:
        question: of the study.
        pairs: of real and synthetic slices.
        all_shown: whether every slice must be in a trial where the class is asked for.
        rng: of the images of other classes.

    Raises:
        DataError: for classes of other sizes, which would give them away, or of unequal numbers where all are shown.
    """
    if question.about == OF_KIND:
        if question.design == PAIR:
            return [(Trial(pair),) for pair in pairs]
        return [tuple(Trial((slide,), slide.kind) for slide in pair) for pair in pairs]
    if len(sizes := Counter(pair[0].size for pair in pairs)) > 1:
        found = some([f"{rows} x {columns}" for rows, columns, _ in sizes])
        raise DataError(f"the images of the classes have several sizes ({found})", "bring them to one size")
    if question.about == OF_CLASS:
        counts = Counter(pair[0].label for pair in pairs)
        least = min(counts[name] for name in question.classes)
        if not least or (all_shown and max(counts.values()) > least):
            found = some([f"{name} {counts[name]}" for name in question.classes])
            fault = f"the classes have unequal numbers of real and of synthetic images ({found})"
            raise DataError(fault, "add or remove images, or draw equal numbers by --trials")
        by_class = [[pair for pair in pairs if pair[0].label == name][:least] for name in question.classes]
        return [
            tuple(Trial((slide,), slide.label) for pair in row for slide in pair) for row in zip(*by_class, strict=True)
        ]
    of_class = [pair for pair in pairs if pair[0].label == question.about]
    rest = [pair for pair in pairs if pair[0].label != question.about]
    others = _in_turn([rest[number] for number in rng.permutation(len(rest))], lambda pair: pair[0].label)
    if not of_class or not others:
        fault = f"{len(of_class)} pairs of real and synthetic images show {question.about}, {len(others)} another class"
        raise DataError(fault, "add images where there are none")
    both = zip(of_class, others, strict=False)
    if question.design == PAIR:
        return [tuple(Trial((a, b)) for a, b in zip(shown, other, strict=True)) for shown, other in both]
    return [
        (*(Trial((slide,), "yes") for slide in shown), *(Trial((slide,), "no") for slide in other))
        for shown, other in both
    ]


def _in_turn(items: Sequence[Item], group: Callable[[Item], Hashable]) -> list[Item]:
    """Items in their order, but the groups take turns."""
    seen: Counter[Hashable] = Counter()
    turns = []
    for item in items:
        turns.append(seen[group(item)])
        seen[group(item)] += 1
    return [items[number] for number in np.argsort(turns, kind="stable")]


def drawn(units: Sequence[Unit], trials: int | None, rng: np.random.Generator) -> list[Trial]:
    """Trials of all units, or of as many as make ``trials``, drawn at random; classes and cases take turns.

    Raises:
        ConfigError: for a number of trials that the units cannot give.
    """
    each = len(units[0])
    if trials is None:
        return [trial for unit in units for trial in unit]
    if trials < 1 or trials % each:
        fault = f"--trials is {trials}, not a positive multiple of {each}, for equal numbers"
        raise ConfigError(fault, f"give {max(each, trials // each * each)}")
    if trials > each * len(units):
        fault = f"--trials is {trials}, the images give at most {each * len(units)}"
        raise ConfigError(fault, "add images, raise --slices, or lower it")
    shuffled = [units[number] for number in rng.permutation(len(units))]
    by_case = _in_turn(shuffled, lambda unit: unit[0].slides[0].name)
    in_turn = _in_turn(by_case, lambda unit: unit[0].slides[0].label)
    return [trial for unit in in_turn[: trials // each] for trial in unit]
