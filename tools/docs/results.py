"""The table of results across all bundles, from the records in ``docs/results``.

python -m tools.docs.results        # writes docs/results/README.md
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypedDict

from ..repository import ROOT

PAGE = ROOT / "docs" / "results" / "README.md"
IMAGES = ("real", "real, degraded", "simulated", "phantom")
"""Kinds of test images, in the order of the table."""
COLUMNS = "| bundle | task | data | images | n | metric | ours | copy or line | classical | published |"
Numbers = float | list[float]
"""One number, or one each for several cases or settings, which ``data`` or ``n`` count."""


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


def table(measured: list[Record]) -> str:
    """A row for each test, with all networks that had it; real images first."""
    tests: dict[str, list[Record]] = {}
    for each in sorted(measured, key=lambda record: IMAGES.index(record.images)):
        shared = each._replace(weights="", ours=0, published=None, commit=None, command=None, date=None)
        tests.setdefault(str(shared), []).append(each)
    rows = "\n".join(row(networks) for networks in tests.values())
    return f"{COLUMNS}\n{'|---' * COLUMNS.count(' | ')}|---|\n{rows}"


def row(networks: list[Record]) -> str:
    """The row of networks that had one test, with the best numbers in bold."""
    test = networks[0]
    baselines = (test.copy_or_line, test.classical)
    text = marker(test.metric, [*(each.ours for each in networks), *(each["value"] for each in baselines if each)])
    ours = "; ".join(f"{each.weights} {text(each.ours)}" for each in networks)
    others = (f"{each['method']} {text(each['value'])}" if each else "" for each in baselines)
    published = (
        f"{each['value']:g} ({each['source']})" for each in (network.published for network in networks) if each
    )
    card = f"[{test.bundle}](../../bundles/{test.bundle}/docs/README.md)"
    cells = (
        card,
        test.task,
        test.data,
        test.images,
        f"{test.n or ''}",
        test.metric,
        ours,
        *others,
        "; ".join(published),
    )
    return f"| {' | '.join(cells)} |"


def marker(metric: str, compared: list[Numbers]) -> Callable[[Numbers], str]:
    """What writes numbers, those that are the best at their place in bold; nothing is where there is one to compare."""
    choose = min if metric.endswith("↓") else max
    best = [choose(place) if len(place) > 1 else None for place in zip(*map(listed, compared), strict=True)]

    def text(numbers: Numbers) -> str:
        pairs = zip(listed(numbers), best, strict=True)
        return ", ".join(f"**{number:g}**" if number == top else f"{number:g}" for number, top in pairs)

    return text


def listed(numbers: Numbers) -> list[float]:
    """Numbers as a list."""
    return numbers if isinstance(numbers, list) else [numbers]


def page() -> str:
    """The whole page."""
    template = Path(__file__).with_suffix(".md.in").read_text(encoding="utf-8")
    return template.replace("TABLE", table(records()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
