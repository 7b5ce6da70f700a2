"""The page on settings, from the comments in the configs and the docstrings of their components.

python -m tools.docs.settings        # writes docs/reference/settings.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate
from typing import Any, NamedTuple

import yaml

from medical_image_synthesis.catalogue import bundle_named

from ..repository import ROOT, bundle_names, config_path

PAGE = ROOT / "docs" / "reference" / "settings.md"
COMPLETE = {"train": "Run", "inference": "Run", "evaluate": "Evaluation", "study": "Study"}
"""The configs whose settings come first, and the group of those above their first heading; overlays follow."""
HEADER = 3
"""Lines of comment at the top of each config."""
SETTING = re.compile(r"([a-z_]+):(?: ([^ #].*?))?  # (.+)")
HEADING = re.compile(r"# ([A-Z]\w+): ")
MARKS = {("brain3d", "lesion"): "†", ("brain3d", "lesion", "stain"): "‡"}
"""Bundles that make images from noise, and those that read no volumes; many settings lack them."""
NO_OPTION = "no option"
"""The comment of a key that the page leaves out."""
PARTS = (
    *("reader", "data", "network_def", "latent", "discriminator_def", "losses", "adversarial_loss"),
    *("method", "augmentation", "train", "stitching", "inferer", "postprocessing", "references"),
)
"""Parts of a config whose components have arguments to choose."""
INNER = ("allow_missing_keys", "cval", "keys", "multiple_of", "place", "progress")
"""Arguments that are not to be chosen."""
PLAIN = bool | float | int | str | list | tuple | None
"""Values that can be typed as an option."""


class Commented(NamedTuple):
    """A setting as one config has it."""

    group: str
    name: str
    value: str
    meaning: str


def configs() -> list[tuple[str, Path]]:
    """The bundle's short name and the path of every config: the complete ones of all bundles, then overlays."""
    order = [*COMPLETE]
    paths = [(name, path) for name in bundle_names() for path in config_path(name, "train").parent.glob("*.yaml")]
    ranks = {path: order.index(path.stem) if path.stem in order else len(order) for _, path in paths}
    return [(bundle_named(name).short, path) for name, path in sorted(paths, key=lambda each: (ranks[each[1]], each))]


def commented(path: Path) -> Iterator[Commented]:
    """The settings of a config that have a comment, under the last heading above them."""
    group = COMPLETE.get(path.stem, "Variants")
    lines = [*path.read_text().splitlines()[HEADER:], ""]
    for line, below in zip(lines, lines[1:], strict=False):
        if path.stem in COMPLETE and (heading := HEADING.match(line)):
            group = heading[1]
        if (found := SETTING.fullmatch(line)) and "_target_" not in line:
            value = found[2] or (below.strip() if below.strip()[:1] in ("{", "[") else "...")
            yield Commented(group, found[1], value.strip('"') or value, found[3])


def first_settings() -> dict[str, dict[str, Commented]]:
    """Every setting with a comment by its name, and by the bundle, or by the overlay where only overlays have it."""
    found: dict[str, dict[str, Commented]] = {}
    own: set[tuple[str, str]] = set()
    for bundle, path in configs():
        for setting in commented(path):
            if (bundle, setting.name) not in own:
                found.setdefault(setting.name, {})[bundle if path.stem in COMPLETE else path.name] = setting
        own |= {(bundle, setting.name) for setting in commented(path) if path.stem in COMPLETE}
    return found


def by_owner(values: dict[str, str]) -> str:
    """Values in one text, each with its bundles or overlays; the value of most bundles comes first and without them.

    Signs stand for the bundles of ``MARKS``.
    """
    owners: dict[str, list[str]] = {}
    for owner, value in values.items():
        owners.setdefault(value, []).append(owner)
    missing = sorted({bundle_named(name).short for name in bundle_names()} - values.keys())
    first = []
    most = max(owners, key=lambda value: len(owners[value]))
    if len(owners[most]) > 3 and len(missing) < 4:
        first = [most + (MARKS.get(tuple(missing)) or (f" (not {', '.join(missing)})" if missing else ""))]
        del owners[most]
    return "; ".join([*first, *(f"{value} ({', '.join(names)})" for value, names in owners.items())])


def settings() -> str:
    """A list for each group of settings."""
    groups: dict[str, list[str]] = {}
    for name, by in first_settings().items():
        first = next(iter(by.values()))
        if first.meaning == NO_OPTION:
            continue
        values = by_owner({owner: f"`{setting.value}`" for owner, setting in by.items()})
        groups.setdefault(first.group, []).append(f"- `{name}` {values}: {first.meaning}")
    return "\n\n".join(f"## {group}\n\n" + "\n".join(lines) for group, lines in groups.items())


def components(place: str, part: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Every component of this project in a part of a config: its place, its class and what the config gives it."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        target = str(part.get("_target_"))
        if target.partition(".")[0] in ("common", *bundle_names()):
            yield place, locate(target), part
        for name, value in part.items():
            yield from components(f"{place}::{name}", value)


def meanings(component: Any) -> dict[str, str]:
    """The first sentence on each argument in a docstring of Google's style, without citations."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(component) or "", re.MULTILINE)
    texts = [" ".join(entry.split()) for entry in re.split(r"\n(?=    \w)", section[1])] if section else []
    uncited = [re.sub(r" \([^()]*\b(19|20)\d\d\b[^()]*\)", "", text) for text in texts]
    plain = [re.sub(r":\w+:`(?:\w+\.)*(\w+)`|``(.+?)``", r"`\1\2`", text).partition(": ") for text in uncited]
    return {name: re.split(r"(?<!et al)[.;](?=\s|$)", text)[0] for name, _, text in plain}


def arguments() -> str:
    """A list of the arguments that are plain values and that no config takes from a setting."""
    parsed = [(bundle, yaml.safe_load(path.read_text())) for bundle, path in configs() if path.stem in COMPLETE]
    owned = [(bundle, each) for key in PARTS for bundle, config in parsed if key in config
             for each in components(key, config[key])]  # fmt: skip
    found = [each for _, each in owned]
    wired = {f"{place}::{name}" for place, _, given in found for name, value in given.items() if _is_expression(value)}
    places: dict[Any, str] = {}
    rows: dict[str, tuple[dict[str, None], str, Any]] = {}
    for place, component, given in found:
        meant = meanings(component) if places.setdefault(component, place) == place else {}
        for name, argument in inspect.signature(component).parameters.items():
            value = given.get(name, argument.default)
            if name in meant and name not in INNER and isinstance(value, PLAIN) and f"{place}::{name}" not in wired:
                defaults, *_ = rows.setdefault(f"{place}::{name}", ({}, meant[name], component))
                value = list(value) if isinstance(value, tuple) else value
                defaults["`" + yaml.safe_dump(value, default_flow_style=True).splitlines()[0] + "`"] = None
    deeper: dict[Any, dict[str, list[str]]] = {}
    for bundle, (place, component, _) in owned:
        first = places[component]
        if place.endswith(f"::{first}") and bundle not in deeper.get(component, {}).get(place, []):
            deeper.setdefault(component, {}).setdefault(place, []).append(bundle)

    def named(argument: str, of: Any) -> str:
        name = argument.rpartition("::")[2]
        others = [f"`{other}::{name}` ({', '.join(bundles)})" for other, bundles in deeper.get(of, {}).items()]
        return ", ".join([f"`{argument}`", *others])

    return "\n".join(
        f"- {named(argument, component)} {', '.join(defaults)}: {meaning}"
        for argument, (defaults, meaning, component) in rows.items()
    )


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("@", "$", "%"))


def page() -> str:
    """The whole page."""
    template = Path(__file__).with_suffix(".md.in").read_text()
    return template.replace("SETTINGS", settings()).replace("ARGUMENTS", arguments())


if __name__ == "__main__":
    PAGE.write_text(page())
