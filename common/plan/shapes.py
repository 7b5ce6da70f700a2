"""Sizes of a training: crop, patch, network and batch, the largest within the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..stitching.slice_stitching import plane_axis
from . import geometry
from .cost import Step
from .fingerprint import Case, Triple
from .geometry import SliceCrop
from .recipe import Recipe, Setting
from .search import (
    GB,
    MOST_OF_DATA,
    MOST_SAMPLES,
    Budget,
    Sizes,
    candidates,
    first_that_fits,
    widths,
)

HALVINGS = 8
"""Patches are multiples of this where the bundle says nothing else: discriminators halve them three times."""
LEAST_BATCH = 2
"""Of patches, as in nnU-Net; slices may come one by one, as pix2pix was published."""


class Shape(NamedTuple):
    """Sizes, the cost of their step, the samples of the data set, and the settings for them."""

    sizes: Sizes
    step: Step
    samples: int
    settings: list[Setting]


def slices(recipe: Recipe, cases: Sequence[Case], spacing: Triple | None, budget: Budget) -> Shape:
    """Plane, crop, depth, width and batch of a training on slices; samples are slices with foreground."""
    median = spacing or geometry.median_spacing(cases)
    plane, own_plane = geometry.plane_of(median, recipe.config["plane"]), recipe.config["plane"]
    axis = plane_axis(plane)
    box = np.delete(geometry.boxes(cases, spacing), axis, axis=1)
    extent = float(box.max())
    own = SliceCrop(recipe.config["crop_size"], recipe.config["depth"])
    crop = geometry.crop_of(extent, own)
    samples = sum(geometry.slices_across(case, axis, spacing) for case in cases)
    wanted = recipe.config["batch_size"] * own.side**2 // crop.side**2
    wanted = max(1, min(wanted, MOST_SAMPLES, int(MOST_OF_DATA * samples)))
    order = candidates(
        [((side, side), depth) for side, depth in geometry.smaller_crops(crop)], wanted, 1, _widths(recipe)
    )
    sizes, step = first_that_fits(order, lambda each: _cost(recipe, each, crop_size=each.size[0]), budget, 1)
    side = sizes.size[0]
    pad = math.ceil(side * recipe.config["pad_size"] / own.side)
    pixels = {name: _joined(np.delete(median, plane_axis(name)), ".3g") for name in (own_plane, plane)}
    kept = f"the bundle's own, pixels of {pixels[plane]} mm"
    why = kept if plane == own_plane else f"pixels of {pixels[plane]} mm, in {own_plane} {pixels[own_plane]} mm"
    fitted = "covers" if side >= extent else "within the budget or the bundle's size, for"
    found = [
        Setting("plane", plane, why),
        Setting("crop_size", side, f"{fitted} the largest foreground, {extent:.0f} pixels"),
        Setting("pad_size", pad, f"{recipe.config['pad_size']} / {own.side} of the crop, as in the bundle"),
        Setting("depth", sizes.depth, f"{side} / 2^{sizes.depth} = {side // 2**sizes.depth} pixels inside"),
        *_width_and_batch(recipe, sizes, step, budget, f"{samples} slices"),
    ]
    if recipe.has("norm"):
        norm = "instance" if sizes.batch_size == 1 else recipe.config["norm"]
        alone = "a batch of one: its statistics in inference as well" if sizes.batch_size == 1 else "kept"
        found.append(Setting("norm", norm, f"{alone}, at batch size {sizes.batch_size}"))
    return Shape(sizes, step, samples, found)


def patches(recipe: Recipe, cases: Sequence[Case], spacing: Triple | None, budget: Budget) -> Shape:
    """Patch, width, batch and patches a case; they tile the foreground of the median case once an epoch."""
    own = recipe.config["patch_size"]
    multiple = int(recipe.value("stitching::multiple_of") or HALVINGS)
    median = spacing or geometry.median_spacing(cases)
    box = np.median(geometry.boxes(cases, spacing), axis=0)
    patch = geometry.patch_of(box, median, own, multiple)
    voxels = float(geometry.boxes(cases, spacing).prod(axis=1).sum())
    wanted = recipe.config["batch_size"] * math.prod(own) // math.prod(patch)
    wanted = max(LEAST_BATCH, min(wanted, MOST_SAMPLES, int(MOST_OF_DATA * voxels / math.prod(patch))))
    smaller = [(tuple(each), 0) for each in geometry.smaller_patches(patch, box, multiple)]
    order = candidates(smaller, wanted, LEAST_BATCH, _widths(recipe))
    stages = int(recipe.config.get("stages", 1))
    sizes, step = first_that_fits(
        order, lambda each: _cost(recipe, each, patch_size=list(each.size), **_layers(recipe, each)), budget, stages
    )
    tiles = math.ceil(box.prod() / math.prod(sizes.size))
    found = [
        Setting(
            "patch_size",
            list(sizes.size),
            f"{_joined(np.array(sizes.size) * median)} mm; the foreground has {_joined(box)} voxels (median)",
        ),
        *_width_and_batch(recipe, sizes, step, budget, f"{voxels / 1e6:.3g} M voxels of foreground boxes"),
        *(Setting(name, value, f"for a side of {min(sizes.size)}") for name, value in _layers(recipe, sizes).items()),
    ]
    return Shape(sizes, step, tiles * len(cases), found)


def _layers(recipe: Recipe, sizes: Sizes) -> dict[str, int]:
    """Layers of the patch discriminator that leave it an output: a side of 12 for two of stride 2, of 24 for three."""
    if not recipe.has("patch_layers"):
        return {}
    most = int(math.log2(min(sizes.size) / 3))
    return {"patch_layers": max(1, min(recipe.config["patch_layers"], most))}


def _widths(recipe: Recipe) -> list[int]:
    return widths(recipe.config["width"], "width" in recipe.given)


def _cost(recipe: Recipe, sizes: Sizes, **settings: Any) -> Step:
    named = {"width": sizes.width, **({"depth": sizes.depth} if sizes.depth else {}), **settings}
    return recipe.cost(sizes.batch_size, sizes.size, **named)


def _width_and_batch(recipe: Recipe, sizes: Sizes, step: Step, budget: Budget, data: str) -> list[Setting]:
    own = recipe.config["width"]
    width = "the bundle's own" if sizes.width == own else f"{own} does not fit into the budget"
    memory = f"a step takes {step.memory / GB:.2f} of {budget.memory_gb:g} GB"
    return [
        Setting("width", sizes.width, width),
        Setting("batch_size", sizes.batch_size, f"{memory}; at most {MOST_OF_DATA:.0%} of {data}"),
    ]


def _joined(numbers: Sequence[float] | np.ndarray, form: str = ".0f") -> str:
    return " x ".join(f"{each:{form}}" for each in numbers)
