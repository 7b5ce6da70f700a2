"""Making of a study: from two folders of images to a page for readers, and the key that readers do not get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..errors import ConfigError, DataError, some
from ..evaluation.report.standalone_page import as_it_is, embedded, script_json, template
from ..files import write_text
from ..io.reader import VolumeReader
from .image_folders import REAL, SYNTHETIC, StudyImage
from .slices import StudySlice, paired_slices, patches_of, png_of

FOLDER = Path(__file__).parent
PAGE, KEY = Path("for_readers", "page.html"), Path("key.json")
PAIR, SINGLE, OF_CLASS = "two-alternative", "single", "class"
Pair = tuple[StudySlice, StudySlice]  # real and synthetic, of one case or of one class
Images = Sequence[StudyImage]
PageAndKey = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Study:
    """How a study is made.

    Args:
        design: ``two-alternative`` or ``single``, the number of images of a trial.
        question: ``real`` or, of single images, ``class``.
        slices: of each volume.
        trials: number; None for all slices.
        window: (low, high) in the images' unit; None for percentiles 0.5 and 99.5 of the real slices.
        repeats: trials of the first third that come again in the second half, two images with sides changed.
        seed: of all that is random; whoever knows it, the images and this code knows the answers.
    """

    design: str = PAIR
    question: str = REAL
    slices: int = 1
    trials: int | None = None
    window: Sequence[float] | None = None
    repeats: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.slices < 1 or self.repeats < 0 or self.seed < 0:
            raise ConfigError("--slices is below 1, or --repeats or --seed below 0", "raise it")
        if (self.design, self.question) == (PAIR, OF_CLASS):
            raise ConfigError("--question class is about single images", "pass --design single")


def make_study(real: Images, synthetic: Images, study: Study, reader: VolumeReader) -> PageAndKey:
    """Data of the page for ``page.js``, without kinds, cases and answers, and the key to it; nothing is written.

    Raises:
        DataError: for images that cannot be used.
        ConfigError: for a window, a number of trials or of repeats, or a question, that these images do not allow.
    """
    rng = np.random.default_rng(study.seed)
    if any(image.patches for image in [*real, *synthetic]):
        pairs = _pairs_of_patches(real, synthetic, rng, reader)
    else:
        pairs = _pairs_of_cases(real, synthetic, study.slices, rng, reader)
    classes = sorted({shown.image.label for shown, _ in pairs}) if study.question == OF_CLASS else []
    if len(classes) == 1:
        raise ConfigError("--question class needs two classes", "arrange the images as DIR/<class>/<patch>")
    pairs = _drawn(pairs, len(classes), study, rng)
    pixels = np.concatenate([shown.pixels.ravel() for shown, _ in pairs])
    low, high = study.window or np.percentile(pixels, [0.5, 99.5]).tolist()
    if not -np.inf < low < high < np.inf:
        raise ConfigError(f"the window is {low:g} to {high:g}", "pass a --window of two numbers, the lower one first")
    return _page_and_key(pairs, classes, (low, high), study, rng)


def _pairs_of_cases(
    real: Images, synthetic: Images, count: int, rng: np.random.Generator, reader: VolumeReader
) -> list[Pair]:
    """The same slices of the real and of the synthetic volume of each case."""
    if alone := sorted({image.case for image in real} ^ {image.case for image in synthetic}):
        fault = f"--real ({len(real)} images) and --synthetic ({len(synthetic)}) hold different cases"
        remedy = "give both folders the same cases, or name the cases' volumes by --real_name and --synthetic_name"
        raise DataError(f"{fault}, only one has {some(alone)}", remedy)
    both = zip(real, synthetic, strict=True)
    return [pair for images in both for pair in paired_slices(*images, count, rng, reader)]


def _pairs_of_patches(real: Images, synthetic: Images, rng: np.random.Generator, reader: VolumeReader) -> list[Pair]:
    """Random pairs of a real and a synthetic patch of a class, as many as there are of both."""
    sides = [[slide for image in images for slide in patches_of(image, reader)] for images in (real, synthetic)]
    if len(sizes := {(*slide.pixels.shape, slide.aspect) for side in sides for slide in side}) > 1:
        found = some([f"{rows} x {columns} of aspect {aspect:g}" for rows, columns, aspect in sorted(sizes)])
        raise DataError(f"the patches have several sizes ({found}), which tell them apart", "bring them to one size")
    classes = [sorted({slide.image.label for slide in side}) for side in sides]
    if classes[0] != classes[1]:
        fault = f"--real has the classes {some(classes[0])}, --synthetic {some(classes[1])}"
        raise DataError(fault, "give both folders the same classes")
    shuffled = [[side[number] for number in rng.permutation(len(side))] for side in sides]
    ordered = [[[slide for slide in side if slide.image.label == label] for side in shuffled] for label in classes[0]]
    return [pair for of_class in ordered for pair in zip(*of_class, strict=False)]


def _drawn(pairs: Sequence[Pair], classes: int, study: Study, rng: np.random.Generator) -> list[Pair]:
    """All pairs, or as many as make ``--trials``, at random with classes, or cases, in turn.

    Where the class is asked for, each of the ``classes`` has as many.
    """
    shuffled = [pairs[number] for number in rng.permutation(len(pairs))]
    groups = pd.Series([shown.image.label or shown.image.case for shown, _ in shuffled])
    turns = groups.groupby(groups).cumcount()
    least = groups.value_counts().min()
    drawn = [shuffled[number] for number in np.argsort(turns, kind="stable") if not classes or turns[number] < least]
    each = 1 if study.design == PAIR else 2
    count, unit = each * len(drawn), each * max(classes, 1)
    trials = count if study.trials is None else study.trials
    if not 0 < trials <= count or trials % unit:
        raise ConfigError(f"--trials is {trials}", f"pass a multiple of {unit}, at most {count}")
    if study.repeats > trials // 3:
        fault = f"--repeats is {study.repeats}, {trials // 3} are allowed, a third of the {trials} trials"
        raise ConfigError(fault, "lower it, or raise --trials")
    return drawn[: trials // each]


def _page_and_key(
    pairs: Sequence[Pair], classes: list[str], window: tuple[float, float], study: Study, rng: np.random.Generator
) -> PageAndKey:
    about: dict[str, Any] = {"question": "Which image is real?", "choices": ["left", "right"]}
    if study.design == SINGLE:
        about = {"question": "Is this image real or synthetic?", "choices": [REAL, SYNTHETIC]}
    if classes:
        about = {"question": "Which class is it?", "choices": classes}
    trials = list(pairs) if study.design == PAIR else [(slide,) for pair in pairs for slide in pair]
    shown, kept = [], []
    for number, swapped, repeat in _order(len(trials), study.repeats, rng):
        slides = trials[number][::-1] if swapped else trials[number]
        asked = trials[number][0]  # the real one of two
        truth = asked.image.label if classes else asked.image.kind
        answer = about["choices"][swapped] if study.design == PAIR else truth
        images = [f"{each.image.kind} {each.case} {each.place}" for each in slides]
        entry = {"item": number, "answer": answer, "repeat": repeat, "kind": asked.image.kind, "case": asked.case}
        kept.append(entry | {"images": images})
        pictures = [embedded(png_of(slide.pixels, window)) for slide in slides]
        shown.append({"aspect": slides[0].aspect, "images": pictures})
    digest = hashlib.sha256(json.dumps(shown).encode()).hexdigest()
    about["study"] = f"study-{digest[:12]}"  # a spreadsheet would change 12345e678901, which reads as a number
    settings = {"design": study.design, "about": study.question, "seed": study.seed, "window": window}
    return about | {"trials": shown}, about | settings | {"trials": kept}


def _order(count: int, repeats: int, rng: np.random.Generator) -> list[tuple[int, bool, bool]]:
    """Trials of the page: number, whether the two images change places, and whether it was shown before.

    Half of the trials have their images changed, the odd one at random; a repeated trial is the other way round.
    """
    swapped = rng.permutation((np.arange(count) + rng.integers(2)) % 2 == 1).tolist()
    numbers = rng.permutation(count).tolist()
    order = [(number, swapped[number], False) for number in numbers]
    for number in rng.permutation(numbers[: count // 3])[:repeats].tolist():
        order.insert(int(rng.integers(count // 2 + 1, len(order) + 1)), (number, not swapped[number], True))
    return order


def write_study(page: dict[str, Any], key: dict[str, Any], out: Path) -> None:
    """Write ``for_readers/page.html`` and ``key.json``.

    Raises:
        OutputError: a file cannot be written.
    """
    files = {"style": as_it_is(FOLDER / "page.css"), "script": as_it_is(FOLDER / "page.js")}
    write_text(out / KEY, json.dumps(key, indent=1) + "\n")
    write_text(out / PAGE, template(FOLDER / "page.html.j2").render(**page, **files, data=Markup(script_json(page))))
