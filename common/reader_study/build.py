"""Making of a study: from two folders of images to a page for readers and the key."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from ..errors import ConfigError, DataError, OutputError, some
from ..evaluation.report.standalone_page import as_it_is, script_json, template
from ..files import write_text
from ..io.reader import VolumeReader
from ..seeds import derive
from .image_folders import REAL, SYNTHETIC, StudyImage, classes_of, find_images
from .questions import OF_KIND, PAIR, Pair, Question, drawn, matched, units_of
from .slices import SliceMaker, window_of
from .study import Study, pages_and_key

logger = logging.getLogger(__name__)
FOLDER = Path(__file__).parent
FOR_READERS, KEY = "for_readers", "key.json"
BY_CASE, BY_CLASS = "case", "class"
LARGE = 100_000_000
"""Bytes of a page from which a warning says so: browsers take long to open it."""


@dataclass(frozen=True)
class Choices:
    """How a study is made.

    Args:
        design: ``two-alternative`` or ``single``.
        question: ``real``, ``class`` or the name of a class.
        match: what the two images of a trial that asks for the real one have in common, ``case`` or ``class``.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        slices: of each volume.
        trials: number; None for all slices.
        window: (low, high) in the images' unit; None for percentiles of the real slices.
        repeats: trials that are shown twice.
        pages: number of pages, each with another order.
        confidence: whether readers give one.
        seed: of all that is random.
        real_name: name of the volume in each case's folder; None where cases are files.
        synthetic_name: the same of the synthetic images.

    Raises:
        ConfigError: for a value out of range.
    """

    design: str = PAIR
    question: str = OF_KIND
    match: str = BY_CASE
    plane: str = "axial"
    slices: int = 1
    trials: int | None = None
    window: tuple[float, float] | None = None
    repeats: int = 0
    pages: int = 1
    confidence: bool = False
    seed: int = 0
    real_name: str | None = None
    synthetic_name: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("slices", 1), ("pages", 1), ("repeats", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"--{name} is {getattr(self, name)}, below {least}", "raise it")
        if self.window is not None and not (all(map(math.isfinite, self.window)) and self.window[0] < self.window[1]):
            low, high = self.window
            raise ConfigError(f"--window is {low:g} {high:g}", "pass two finite numbers, the lower one first")

    @property
    def pairs_cases(self) -> bool:
        """Whether the real and the synthetic image of a case are shown together."""
        return self.design == PAIR and self.question == OF_KIND and self.match == BY_CASE


def make_study(real: Path, synthetic: Path, choices: Choices, reader: VolumeReader) -> Study:
    """The trials of a study of two folders of images; nothing is written.

    Raises:
        DataError: for images that cannot be used, or unequal numbers of real and synthetic ones.
        ConfigError: for a question, number of trials or of repeats that these images do not allow.
    """
    if real.resolve() == synthetic.resolve():
        raise ConfigError(f"--synthetic must differ from --real, both are {synthetic}")
    found = find_images(real, REAL, choices.real_name), find_images(synthetic, SYNTHETIC, choices.synthetic_name)
    _require_alike(*found)
    question = Question(choices.design, choices.question, tuple(classes_of([*found[0], *found[1]])))
    maker = SliceMaker(choices.plane, choices.slices, choices.seed, reader)
    rng = np.random.default_rng(derive(choices.seed))
    all_shown = choices.trials is None
    if choices.pairs_cases:
        pairs = _pairs_of_cases(*found, maker)
    else:
        slides = [[slide for image in images for slide in maker.slides(image)] for images in found]
        pairs = matched(slides[0], slides[1], all_shown, rng)
    window = choices.window or window_of([shown for shown, _ in pairs])
    trials = drawn(units_of(question, pairs, all_shown, rng), choices.trials, rng)
    return Study(question, trials, window, choices.seed, choices.repeats, choices.pages, choices.confidence)


def _pairs_of_cases(real: Sequence[StudyImage], synthetic: Sequence[StudyImage], maker: SliceMaker) -> list[Pair]:
    listed = [{(image.label, image.case): image for image in images} for images in (real, synthetic)]
    alone = [[_name(key) for key in listed[side].keys() - listed[1 - side].keys()] for side in (0, 1)]
    if any(alone):
        fault = f"--real ({len(real)} images) and --synthetic ({len(synthetic)}) hold different cases"
        fault += "".join(f", only in --{kind} {some(sorted(names))}" for kind, names in zip((REAL, SYNTHETIC), alone,
                                                                                     strict=True) if names)  # fmt: skip
        remedy = "give both folders the same cases, name the cases' volumes by --real_name and --synthetic_name, or "
        raise DataError(fault, remedy + "pass --match class for samples without a real case")
    pairs = [pair for key, image in listed[0].items() for pair in maker.pairs(image, listed[1][key])]
    if same := [shown.name for shown, other in pairs if np.array_equal(shown.pixels, other.pixels)]:
        fault = f"--real and --synthetic have equal slices of {some(same)}"
        raise DataError(fault, "replace the copies of real images in --synthetic")
    return pairs


def _name(key: tuple[str, str]) -> str:
    return "/".join(part for part in key if part)


def _require_alike(real: Sequence[StudyImage], synthetic: Sequence[StudyImage]) -> None:
    """Refuse pictures on one side and volumes on the other: what 8 bits lose would give away which is real."""
    sides = [{image.is_picture for image in images} for images in (real, synthetic)]
    if sides[0] != sides[1] or len(sides[0]) > 1:
        words = [" and ".join("pictures" if one else "volumes" for one in sorted(side)) for side in sides]
        raise DataError(f"--real holds {words[0]}, --synthetic {words[1]}", "convert all images to one of the two")


def paths_of(out: Path, pages: int) -> tuple[list[Path], Path]:
    """Files of the pages and of the key."""
    names = ["page.html"] if pages == 1 else [f"page_{number}.html" for number in range(1, pages + 1)]
    return [out / FOR_READERS / name for name in names], out / KEY


def require_free(out: Path, overwrite: bool) -> None:
    """Refuse a folder that holds a study already, unless it may be replaced.

    Raises:
        OutputError: it does, or is no folder.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"--out {out} is a file", "pass a folder")
    there = [path for path in (out / KEY, *sorted((out / FOR_READERS).glob("*.html"))) if path.exists()]
    if there and not overwrite:
        remedy = "choose another --out, or add --overwrite, after which answers to the old page cannot be scored"
        raise OutputError(f"--out {out} already holds a study ({some([path.name for path in there])})", remedy)


def write_study(study: Study, out: Path) -> list[Path]:
    """Write ``for_readers/page.html`` (``page_1.html`` and on) and ``key.json``; return their paths, the key last.

    Raises:
        OutputError: a file cannot be written.
    """
    pages, key = pages_and_key(study)
    places, key_place = paths_of(out, study.pages)
    for old in set((out / FOR_READERS).glob("page*.html")) - set(places):
        old.unlink()
    layout = template(FOLDER / "page.html.j2")
    write_text(key_place, json.dumps(key, indent=1) + "\n")
    for data, place in zip(pages, places, strict=True):
        page = layout.render(
            style=as_it_is(FOLDER / "page.css"),
            script=as_it_is(FOLDER / "page.js"),
            question=study.question.text,
            choices=study.question.choices,
            design=study.question.design,
            confidence=study.confidence,
            trials=len(data["trials"]),
            data=Markup(script_json(data)),
        )
        write_text(place, page)
        if len(page) > LARGE:
            logger.warning(f"{place} has {len(page) / 1e6:.0f} MB, which a browser opens slowly: lower --trials")
    return [*places, key_place]
