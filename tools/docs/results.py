"""The tables of results across all bundles, from the records in ``docs/results``.

python -m tools.docs.results        # writes docs/results/README.md
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypedDict

from medical_image_synthesis.catalogue import bundle_named

from ..repository import ROOT

PAGE = ROOT / "docs" / "results" / "README.md"
IMAGES = {
    "real": "Real images",
    "real, degraded": "Real images, degraded by simulation",
    "simulated": "Simulated heads",
    "phantom": "Phantoms",
}
"""Kinds of test images and the headings of their tables, in the order of the page."""
COLUMNS = ("task", "data", "metric", "ours", "copy or line", "classical", "published")
Numbers = float | list[float]
"""One number, or one for each setting in ``data``; on real images ``n`` of them are one for each case."""


class Baseline(TypedDict):
    """A method without a network."""

    method: str
    value: Numbers


class Published(TypedDict):
    """What a paper reports, on data of its own."""

    value: float
    source: str


class Record(NamedTuple):
    """A measurement of one network; None where unknown.

    Attributes:
        bundle: its name.
        task: what the network does.
        weights: "shipped", an overlay or what else tells it from other networks.
        data: the test images.
        images: one of ``IMAGES``.
        n: patients, scans, heads, phantoms or patches.
        metric: with its unit, and an arrow in the direction of better.
        ours: the network's.
        copy_or_line: that of the input, or of a trivial answer.
        classical: that of the strongest method without a network.
        published: the paper's.
        commit: state of the code, or the commit that first reports the number; several, separated by commas.
        command: what measures it, at that commit.
        date: ISO 8601.
    """

    bundle: str
    task: str
    weights: str
    data: str
    images: str
    n: int | None
    metric: str
    ours: Numbers
    copy_or_line: Baseline | None
    classical: Baseline | None
    published: Published | None
    commit: str | None
    command: str | None
    date: str | None


def records() -> list[Record]:
    """The records of all files; a missing or unknown field is an error."""
    paths = sorted(PAGE.parent.glob("*.json"))
    return [Record(**each) for path in paths for each in json.loads(path.read_text(encoding="utf-8"))]


def tables(measured: list[Record]) -> str:
    """A table for each kind of images: tests on real ones, and the first test of each task in its file."""
    found = tests(measured)
    firsts = {(networks[0].bundle, networks[0].task): networks for networks in reversed(found)}
    shown = [networks for networks in found if networks in firsts.values() or networks[0].images.startswith("real")]
    kinds = {kind: [networks for networks in shown if networks[0].images == kind] for kind in IMAGES}
    return "\n\n".join(f"## {IMAGES[kind]}\n\n{table(some)}" for kind, some in kinds.items() if some)


def tests(measured: list[Record]) -> list[list[Record]]:
    """The networks that had the same test, for each test."""
    found: dict[str, list[Record]] = {}
    for each in measured:
        shared = each._replace(weights="", ours=0, published=None, commit=None, command=None, date=None)
        found.setdefault(str(shared), []).append(each)
    return list(found.values())


def table(shown: list[list[Record]]) -> str:
    """A row for each test; without columns that are empty, and tasks and data that the row above has too."""
    rows = [row(networks) for networks in shown]
    filled = [place for place in range(len(COLUMNS)) if any(cells[place] for cells in rows)]
    above = [""] * len(COLUMNS)
    lines = [" | ".join(COLUMNS[place] for place in filled), "---|" * (len(filled) - 1) + "---"]
    for cells in rows:
        same = 0 if cells[0] != above[0] else 1 if cells[1] != above[1] else 2
        lines.append(" | ".join("" if place < same else cells[place] for place in filled))
        above = cells
    return "\n".join(f"|{line}|" if line.startswith("-") else f"| {line} |" for line in lines)


def row(networks: list[Record]) -> list[str]:
    """The cells of networks that had one test, with the best numbers in bold."""
    test = networks[0]
    baselines = (test.copy_or_line, test.classical)
    text = marker(test, [*(each.ours for each in networks), *(each["value"] for each in baselines if each)])
    ours = "; ".join(f"{each.weights.removesuffix(', left out')} {text(each.ours)}" for each in networks)
    others = (f"{each['method']} {text(each['value'])}" if each else "" for each in baselines)
    published = f"{test.published['value']:g} ({test.published['source']})" if test.published else ""
    task = f"[{test.task}](../../bundles/{test.bundle}/docs/README.md)"
    data = f"{test.data} ({test.n})" if test.n else test.data
    return [task, data, test.metric, ours, *others, published]


def marker(test: Record, compared: list[Numbers]) -> Callable[[Numbers], str]:
    """What writes numbers, those that are the best at their place in bold; nothing is where there is one to compare."""
    choose = min if test.metric.endswith("↓") else max
    places = zip(*(summary(test, numbers) for numbers in compared), strict=True)
    best = [choose(place) if len(place) > 1 else None for place in places]

    def text(numbers: Numbers) -> str:
        pairs = zip(summary(test, numbers), best, strict=True)
        return ", ".join(f"**{number:g}**" if number == top else f"{number:g}" for number, top in pairs)

    return text


def summary(test: Record, numbers: Numbers) -> list[float]:
    """Numbers as the page has them: of real images the mean over the cases, to three digits."""
    values = listed(numbers)
    if test.images.startswith("real") and len(values) == test.n and len(values) > 1:
        return [float(f"{sum(values) / len(values):.3g}")]
    return values


def listed(numbers: Numbers) -> list[float]:
    """Numbers as a list."""
    return numbers if isinstance(numbers, list) else [numbers]


def page() -> str:
    """The whole page."""
    template = Path(__file__).with_suffix(".md.in").read_text(encoding="utf-8")
    links = ", ".join(f"[{bundle_named(path.stem).short}]({path.name})" for path in sorted(PAGE.parent.glob("*.json")))
    return template.replace("RECORDS", links).replace("TABLES", tables(records()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
