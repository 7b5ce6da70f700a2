"""Recipes of benchmarks: YAML files that say what data, split, settings, measures and published numbers are."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from common.errors import ConfigError, choose

RECIPES = Path(__file__).resolve().parent / "recipes"
LIKE = "like"
"""Name of the recipe, in the same folder, whose other fields a recipe has."""
MERGED = ("data", "settings")
"""Fields of which a recipe that is like another has what it does not set."""


@dataclass(frozen=True)
class Recipe:
    """A benchmark; names of fields are those of the file.

    Attributes:
        name: of the file.
        title: data set and task in words.
        licence: of the data, which is printed first.
        url: where the data are.
        bundle: that is trained.
        data: ``folder`` below the root, ``layout`` or ``files``, ``source``, ``target``, ``mask``, ``cases`` (how many
            there are); see :mod:`medical_image_synthesis.benchmark.tree`.
        split: see :func:`medical_image_synthesis.benchmark.tree.sections`.
        measures: of the organisers, by their column, each with ``unit``, and ``better``: high or low.
        runs: by name, each with ``overlay`` and ``settings``; the first is the strongest of this project.
        published: rows of others: ``method``, ``cases`` (which), ``measures``, ``source``.
        prepare: a ``function`` of :mod:`medical_image_synthesis.benchmark.prepare` with its settings.
        settings: of all runs, in training and evaluation.
        evaluation: settings of evaluations.
        group: key of the cases, ``body_part`` or ``centre``, by which each measure has columns of its own.
        weight: measure by which the mean over cases is weighted.
        notes: what differs from the source.
    """

    name: str
    title: str
    licence: str
    url: str
    bundle: str
    data: dict[str, Any]
    split: dict[str, Any]
    measures: dict[str, dict[str, str]]
    runs: dict[str, dict[str, Any]]
    published: list[dict[str, Any]]
    prepare: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    weight: str | None = None
    notes: list[str] = field(default_factory=list)


def recipe_names() -> list[str]:
    """Names of the recipes that are there."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(name: str) -> Recipe:
    """The recipe of a name, or of a file ``.yaml``.

    Raises:
        ConfigError: there is none, or it is not one.
    """
    path = Path(name) if name.endswith(".yaml") else RECIPES / f"{name}.yaml"
    if not path.is_file():
        nearest = get_close_matches(name, recipe_names(), 1)
        raise ConfigError(f"no recipe {name}", f"did you mean {nearest[0]}?" if nearest else choose(recipe_names()))
    content = _content(path)
    known = {each.name for each in fields(Recipe)} - {"name"}
    if unknown := sorted(content.keys() - known):
        nearest = get_close_matches(unknown[0], known, 1)
        raise ConfigError(f"{path.name} has the unknown field {unknown[0]}", f"choose {nearest[0]}" if nearest else "")
    needed = [each.name for each in fields(Recipe)[1:10]]
    if missing := [each for each in needed if each not in content]:
        raise ConfigError(f"{path.name} has no {missing[0]}", "write it as the other recipes do")
    return Recipe(path.stem, **content)


def _content(path: Path) -> dict[str, Any]:
    """Fields of a file over those of the recipe that it is like."""
    import yaml

    from medical_image_synthesis.options import require_settings

    require_settings(path)
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    base = content.pop(LIKE, None)
    if base is None:
        return content
    of_base = _content(path.with_name(f"{base}.yaml"))
    return {**of_base, **content, **{name: {**of_base.get(name, {}), **content.get(name, {})} for name in MERGED}}
