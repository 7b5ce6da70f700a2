"""The plan of a training: sizes, batch and windows from the fingerprint, epochs from the time of a measured step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..stitching.slice_stitching import plane_axis
from . import geometry, intensities
from .fingerprint import CaseProperties, Triple
from .measure import Step
from .recipe import SLICES, STEPS_AN_EPOCH, Recipe, Setting

HALVINGS = 8
"""Patches are multiples of this unless the bundle sets another number: discriminators halve them three times."""
LEAST_BATCH = 2
"""Of patches, as in nnU-Net; slices may come one by one, as pix2pix was published."""
MOST_OF_DATA = 0.05
"""Share of the voxels of the data set in a batch at most, as in nnU-Net."""
MOST_SAMPLES = 16
"""In a batch; larger ones have not been tried with these methods."""
SHARE_OF_STEPS = 0.8
"""Of the time; the rest is for validations, reading and checkpoints."""
VALIDATIONS = 4
"""At least, where there are so many epochs."""


class Sizes(NamedTuple):
    """Settings of a sample's size; samples of the data set; batch sizes: the wanted one and the least."""

    settings: list[Setting]
    samples: int
    batch_size: int
    least: int


class Plan(NamedTuple):
    """Settings, the measured step, and the hours of the training at that pace."""

    settings: list[Setting]
    step: Step
    hours: float


def plan_of(recipe: Recipe, cases: Sequence[CaseProperties], hours: float | None, memory_gb: float | None) -> Plan:
    """The plan of a bundle's training for cases with this fingerprint.

    Args:
        recipe: of the bundle.
        cases: of :func:`common.plan.fingerprint.fingerprint`.
        hours: of the training; None for the published epochs.
        memory_gb: of a CUDA device for a step, in GB of 10^9 bytes; None for all that it has.

    Raises:
        ConfigError: for less memory than the smallest batch needs, memory of another device, or less time than an epoch
            takes.
    """
    spacing = geometry.working_spacing(cases)
    median = joined(geometry.median_spacing(cases), ".3g")
    alike = f"all cases within {geometry.ALIKE:.0%} of the median {median} mm"
    why = alike if spacing is None else f"median {median} mm; spacings differ, or axes are sheared"
    sizes = (slices_of if recipe.has(*SLICES) else patches_of)(recipe, cases, spacing)
    settings = [Setting("spacing", spacing and list(spacing), why), *sizes.settings]
    settings += intensities.windows(recipe, cases)
    chosen = {each.name: each.value for each in settings}
    batch, step = fitting(
        lambda size: recipe.step({**chosen, "batch_size": size}), sizes.batch_size, sizes.least, memory_gb
    )
    why = "as many voxels as the bundle's" if batch == sizes.batch_size else "the memory holds no more"
    limits = f"at most {MOST_OF_DATA:.0%} of the data and {MOST_SAMPLES} samples"
    settings.append(Setting("batch_size", batch, f"{why}; {limits}"))
    if recipe.has("norm") and batch == 1 and "norm" not in recipe.given:
        settings.append(Setting("norm", "instance", "a batch of one: its statistics in inference as well"))
    steps = max(sizes.samples // batch, STEPS_AN_EPOCH)
    stages = int(recipe.config.get("stages", 1))
    epoch = steps * stages * step.seconds / 3600 / SHARE_OF_STEPS
    epochs = epochs_of(recipe.config, hours, epoch)
    samples = Setting("samples_per_epoch", steps * batch, f"{steps} steps; the data set has {sizes.samples} samples")
    return Plan([*settings, *epochs, samples], step, epochs[0].value * epoch)


def slices_of(recipe: Recipe, cases: Sequence[CaseProperties], spacing: Triple | None) -> Sizes:
    """Plane, crop and depth of a training on slices; samples are slices with foreground."""
    own_plane, own = recipe.config["plane"], recipe.config["crop_size"]
    median = spacing or geometry.median_spacing(cases)
    plane = own_plane if "plane" in recipe.given else geometry.plane_of(median, own_plane)
    axis = plane_axis(plane)
    extent = float(np.delete(geometry.boxes(cases, spacing), axis, axis=1).max())
    crop, depth = geometry.crop_of(extent, own, recipe.config["depth"])
    pixels = {name: joined(np.delete(median, plane_axis(name)), ".3g") for name in (own_plane, plane)}
    elsewhere = "" if plane == own_plane else f", in {own_plane} {pixels[own_plane]} mm"
    fitted = "covers" if crop >= extent else "the bundle's, for"
    pad = recipe.config["pad_size"]
    settings = [
        Setting("plane", plane, f"pixels of {pixels[plane]} mm{elsewhere}"),
        Setting("crop_size", crop, f"{fitted} the largest foreground, {extent:.0f} pixels"),
        Setting("pad_size", math.ceil(crop * pad / own), f"{pad} / {own} of the crop, as in the bundle"),
        Setting("depth", depth, f"{crop} / 2^{depth} = {crop // 2**depth} pixels inside"),
    ]
    samples = sum(geometry.slices_across(case, axis, spacing) for case in cases)
    wanted = min(recipe.config["batch_size"] * own**2 // crop**2, int(MOST_OF_DATA * samples), MOST_SAMPLES)
    return Sizes(settings, samples, max(1, wanted), 1)


def patches_of(recipe: Recipe, cases: Sequence[CaseProperties], spacing: Triple | None) -> Sizes:
    """Patch of a training in 3-D, and the layers of a patch discriminator that leave it an output."""
    own, median = recipe.config["patch_size"], spacing or geometry.median_spacing(cases)
    boxes = geometry.boxes(cases, spacing)
    box = np.median(boxes, axis=0)
    patch = geometry.patch_of(box, median, own, int(recipe.value("stitching::multiple_of") or HALVINGS))
    size = f"{joined(np.array(patch) * median)} mm; the foreground has {joined(box)} voxels (median)"
    settings = [Setting("patch_size", patch, size)]
    if recipe.has("patch_layers"):  # a side of 12 for two layers of stride 2, of 24 for three
        layers = max(1, min(recipe.config["patch_layers"], int(math.log2(min(patch) / 3))))
        settings.append(Setting("patch_layers", layers, f"for a side of {min(patch)}"))
    of_data = int(MOST_OF_DATA * float(boxes.prod(axis=1).sum()) / math.prod(patch))
    wanted = min(recipe.config["batch_size"] * math.prod(own) // math.prod(patch), of_data, MOST_SAMPLES)
    return Sizes(settings, recipe.config["patches_per_case"] * len(cases), max(LEAST_BATCH, wanted), LEAST_BATCH)


def fitting(
    measure: Callable[[int], Step | None], wanted: int, least: int, memory_gb: float | None
) -> tuple[int, Step]:
    """The wanted batch size, halved until its measured step fits into the memory; and that step.

    Args:
        measure: the step of a batch size, None where the device has not enough memory for it.
        wanted: where to begin.
        least: where to end.
        memory_gb: to fit into, in GB of 10^9 bytes; None for all that the device has.

    Raises:
        ConfigError: the least one does not fit, or the memory is that of a device on which it cannot be measured.
    """
    batch = wanted
    while (step := measure(batch)) is None or memory_gb is not None and not (step.memory_gb or math.inf) <= memory_gb:
        if step is not None and step.memory_gb is None:
            fault = f"--memory_gb {memory_gb:g} cannot be checked on this device, which is not CUDA"
            raise ConfigError(fault, "omit it, or plan on the machine that will train")
        if batch == least:
            needed = "more than the device has" if step is None else f"{step.memory_gb:.2g} GB"
            fault = f"out of memory: a step of batch size {batch} needs {needed}"
            raise ConfigError(fault, "raise --memory_gb, or lower --width")
        batch = max(least, batch // 2)
    return batch, step


def epochs_of(own: Mapping[str, Any], hours: float | None, epoch: float) -> list[Setting]:
    """Epochs of a stage, as many as published or as fit into the hours, and what follows from them.

    Args:
        own: settings of the bundle.
        hours: of the training; None for no limit.
        epoch: hours of an epoch of all stages.

    Raises:
        ConfigError: there is no time for an epoch.
    """
    epochs = own["max_epochs"] if hours is None else min(own["max_epochs"], int(hours / epoch))
    if epochs < 1:
        raise ConfigError(f"--hours {hours:g} is too short for an epoch, which takes {epoch:.2g}", "raise it")
    constant = round(epochs * own["constant_epochs"] / (own["constant_epochs"] + own["decay_epochs"]))
    interval = min(own["val_interval"], max(1, epochs // VALIDATIONS))
    why = "as published" if epochs == own["max_epochs"] else f"of {own['max_epochs']}, as many as the hours allow"
    return [
        Setting("max_epochs", epochs, why),
        Setting("constant_epochs", constant, "the bundle's share of the epochs"),
        Setting("decay_epochs", epochs - constant, "the rest"),
        Setting("val_interval", interval, f"{-(-epochs // interval)} validations"),
    ]


def joined(numbers: Sequence[float] | np.ndarray, form: str = ".0f") -> str:
    """Numbers with a cross between them."""
    return " x ".join(f"{each:{form}}" for each in numbers)
