"""The plan of a training: from fingerprint and budget to settings, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import ConfigError
from . import geometry, intensities
from .cost import Step
from .fingerprint import Case, Triple
from .recipe import SLICES, Recipe, Setting
from .schedule import Published, Schedule, schedule_of, steps_within
from .search import Budget, Sizes
from .shapes import patches, slices


class Plan(NamedTuple):
    """Settings, the cost of a step, and the schedule."""

    settings: list[Setting]
    step: Step
    schedule: Schedule


def plan_of(recipe: Recipe, cases: Sequence[Case], budget: Budget) -> Plan:
    """The plan of a bundle's training for cases with this fingerprint.

    Args:
        recipe: of the bundle; settings given to it are not planned.
        cases: of :func:`common.plan.fingerprint.fingerprint`.
        budget: of the training.

    Raises:
        ConfigError: for a budget below the smallest plan, or a setting given that the plan chooses.
        DataError: for images of another unit than a window's.
    """
    spacing = geometry.working_spacing(cases)
    shape = slices if recipe.has(*SLICES) else patches
    sizes, step, samples, found = shape(recipe, cases, spacing, budget)
    stages = int(recipe.config.get("stages", 1))
    limit = steps_within(budget.hours, step.operations, budget.teraflops)
    schedule = schedule_of(samples, sizes.batch_size, stages, _published(recipe), limit)
    found = [_spacing(cases, spacing), *found, *intensities.planned(recipe, cases)]
    found += _time(recipe, samples, sizes, schedule, len(cases))
    own = [each for each in found if recipe.has(each.name)]
    if chosen := [each.name for each in own if each.name in recipe.given and each.name != "width"]:
        remedy = "omit it here, and change it in the plan"
        raise ConfigError(f"--{chosen[0]}", "is chosen by the plan", repr(recipe.given[chosen[0]]), remedy)
    return Plan([each for each in own if each.name not in recipe.given], step, schedule)


def _spacing(cases: Sequence[Case], spacing: Triple | None) -> Setting:
    found = " x ".join(f"{each:.3g}" for each in geometry.median_spacing(cases))
    if spacing is None:
        return Setting("spacing", None, f"kept: all cases within {geometry.ALIKE:.0%} of the median {found} mm")
    return Setting("spacing", list(spacing), f"median {found} mm; spacings differ, or axes are sheared")


def _published(recipe: Recipe) -> Published:
    return Published(*(int(recipe.config[name]) for name in Published._fields))


def _time(recipe: Recipe, samples: int, sizes: Sizes, schedule: Schedule, cases: int) -> list[Setting]:
    """Epochs, and their samples where they are not the data set once."""
    own = recipe.config["max_epochs"]
    steps = schedule.samples // sizes.batch_size
    epochs = "as published" if schedule.max_epochs == own else f"of {own}, as many as the hours allow"
    found = [
        Setting("max_epochs", schedule.max_epochs, f"{epochs}; {steps} steps an epoch"),
        Setting("constant_epochs", schedule.constant_epochs, "the bundle's share of the epochs"),
        Setting("decay_epochs", schedule.decay_epochs, "the rest"),
        Setting(
            "val_interval", schedule.val_interval, f"{-(-schedule.max_epochs // schedule.val_interval)} validations"
        ),
    ]
    if recipe.has("patches_per_case"):
        each = math.ceil(max(schedule.samples, sizes.batch_size) / cases)
        tiles = samples // cases
        found.append(Setting("patches_per_case", each, f"{tiles} tile the foreground of the median case"))
    elif steps != samples // sizes.batch_size:
        found.append(Setting("samples_per_epoch", schedule.samples, f"the data set has {samples} slices"))
    return found


def values_of(settings: Sequence[Setting]) -> Mapping[str, Any]:
    """The settings by name."""
    return {each.name: each.value for each in settings}
