"""A study: trials in the random order of each page, the data of the pages, and the key that readers do not get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..evaluation.report.standalone_page import embedded
from ..seeds import derive
from .questions import PAIR, Question, Trial
from .slices import png_of

FIRST_PART = 3
"""Repeated trials are from the first third of a page, and come again in its second half."""
TOKEN_BYTES, ID_LENGTH = 4, 12
CONFIDENCE = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Study:
    """Settings of a study and its trials.

    Args:
        question: asked.
        trials: each once, in any order.
        window: of all images, in their unit.
        seed: of the order; whoever knows it, the images and this code knows the answers.
        repeats: number of trials that are shown twice.
        pages: number of pages, the same trials in another order.
        confidence: whether readers give one.
    """

    question: Question
    trials: Sequence[Trial]
    window: tuple[float, float]
    seed: int
    repeats: int = 0
    pages: int = 1
    confidence: bool = False

    def __post_init__(self) -> None:
        most = len(self.trials) // FIRST_PART
        if not 0 <= self.repeats <= most:
            fault = f"--repeats is {self.repeats}, {most} are allowed, a third of the {len(self.trials)} trials"
            raise ConfigError(fault, "lower it, or raise --trials")


def pages_and_key(study: Study) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Data of each page for ``page.js``, without what is asked, and the key to all of them.

    A trial has a random name on each page. Two images are in a random order, half of the time the first one asked for.
    """
    listed = [_sequence(study, page) for page in range(study.pages)]
    digest = hashlib.sha256()
    for trial in study.trials:
        for slide in trial.slides:
            digest.update(png_of(slide.pixels, study.window))
    common = {
        "question": study.question.text,
        "choices": list(study.question.choices),
        "confidence": list(CONFIDENCE) if study.confidence else [],
    }
    key = common | {
        "pixels": digest.hexdigest(),
        "design": study.question.design,
        "about": study.question.about,
        "seed": study.seed,
        "window": list(study.window),
        "pages": [[_kept(study, entry, listed[0]) for entry in entries] for entries in listed],
    }
    common["study"] = key["study"] = study_id(key)
    pages = [
        common | {"page": number, "trials": [_shown(study, entry) for entry in entries]}
        for number, entries in enumerate(listed, start=1)
    ]
    return pages, key


def study_id(key: Mapping[str, Any]) -> str:
    """The id of a study, which pages and answers carry: a hash of all that its key holds, the images by their own."""
    content = {name: value for name, value in key.items() if name != "study"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class _Entry:
    """Place on a page: trial by number, whether its two images change places, and whether it was shown before."""

    token: str
    trial: int
    swapped: bool
    repeat: bool


def _sequence(study: Study, page: int) -> list[_Entry]:
    """Order of a page: every trial, and the repeated ones of its first third again at random in its second half."""
    rng = np.random.default_rng(derive(study.seed, page))
    count = len(study.trials)
    order = [(int(number), False) for number in rng.permutation(count)]
    again = rng.permutation([number for number, _ in order[: count // FIRST_PART]])[: study.repeats]
    for number in again.tolist():
        order.insert(int(rng.integers(count // 2 + 1, len(order) + 1)), (int(number), True))
    sides = _halves(count, rng)
    repeat_sides = _halves(study.repeats, rng)
    tokens: dict[str, None] = {}
    while len(tokens) < len(order):
        tokens[rng.bytes(TOKEN_BYTES).hex()] = None
    swapped = [repeat_sides.pop() if repeat else sides[number] for number, repeat in order]
    both = zip(tokens, order, swapped, strict=True)
    return [_Entry(token, number, side, repeat) for token, (number, repeat), side in both]


def _halves(count: int, rng: np.random.Generator) -> list[bool]:
    """Half true, half false, in random order; the odd one at random."""
    whole = np.arange(count) % 2 == int(rng.integers(2))
    return [bool(value) for value in rng.permutation(whole)]


def _images(study: Study, entry: _Entry) -> list[Any]:
    slides = list(study.trials[entry.trial].slides)
    return slides[::-1] if entry.swapped else slides


def _shown(study: Study, entry: _Entry) -> dict[str, Any]:
    """What a page holds of a trial."""
    slides = _images(study, entry)
    rows, columns = slides[0].pixels.shape
    images = [embedded(png_of(slide.pixels, study.window)) for slide in slides]
    return {"trial": entry.token, "aspect": round(columns / (rows * slides[0].aspect), 4), "images": images}


def _kept(study: Study, entry: _Entry, first_page: Sequence[_Entry]) -> dict[str, Any]:
    """What the key holds of a trial."""
    trial = study.trials[entry.trial]
    answer = trial.answer
    mirrored = False
    if study.question.design == PAIR:
        answer = study.question.choices[entry.swapped]
        mirrored = entry.swapped != next(one.swapped for one in first_page if one.trial == entry.trial)
    return {
        "trial": entry.token,
        "item": entry.trial,
        "answer": answer,
        "mirrored": mirrored,
        "repeat": entry.repeat,
        "images": [
            {"kind": slide.kind, "class": slide.label, "case": slide.case, "slice": slide.place}
            for slide in _images(study, entry)
        ],
    }
