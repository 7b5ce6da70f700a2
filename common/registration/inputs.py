"""Inputs of a registration: the volumes of a case, and what makes them unfit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..data.checks import volumes
from ..data.checks.volumes import CheckedVolume
from ..data.datalist import Item
from ..data.degraded_pairs import MASKS
from ..data.layouts.folders import DEFAULT_MASK
from ..errors import DataError, Finding, VolumeError
from ..grids import covered, is_sheared
from ..io import VolumeReader
from ..io.padding import padding_to_air
from .quality import Limits

LEAST_SLICES = 8
"""Voxels along each axis below which a volume is no 3-D scan."""


@dataclass(frozen=True)
class Registration:
    """What is registered to what, and how.

    Args:
        sources: names of the image's files, one for each channel; the first of them is registered.
        target: name of the label's file.
        ct: names of those that are CT in HU.
        move_source: move the source onto the target's grid instead of the target onto the source's.
        deform: whether a B-spline follows the rigid alignment.
        centred: start with the centres of the bodies on each other, whatever the headers say.
        keep_failed: write cases that fail the quality gate, too.
        limits: of the gate.
    """

    sources: Sequence[str]
    target: str
    ct: Sequence[str] = ()
    move_source: bool = False
    deform: bool = False
    centred: bool = False
    keep_failed: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def still(self) -> Sequence[str]:
        """Names of the volumes that stay."""
        return (self.target,) if self.move_source else self.sources

    @property
    def moved(self) -> Sequence[str]:
        """Names of the volumes that are moved."""
        return self.sources if self.move_source else (self.target,)


@dataclass(frozen=True)
class Inputs:
    """The volumes and masks of a case by the names of their files, and their paths by the same."""

    paths: dict[str, str]
    scans: dict[str, CheckedVolume]
    masks: dict[str, CheckedVolume]


def read_case(item: Item, plan: Registration, reader: VolumeReader) -> Inputs:
    """Read the volumes of a case.

    Raises:
        DataError: for the first fault, with case, file and remedy.
    """
    case = str(item["case"])
    images = [item["image"]] if isinstance(item.get("image"), str) else item.get("image") or []
    if len(images) != len(plan.sources) or "label" not in item:
        lacking = "no label" if "label" not in item else f"{len(images)} images for {', '.join(plan.sources)}"
        raise DataError(f"{case} has {lacking}", "give source and target of each case")
    paths = dict(zip((*plan.sources, plan.target), (*images, item["label"]), strict=True))
    paths |= {name: item[name] for name in MASKS if name in item}
    read = {name: volumes.read(path, case, reader) for name, path in paths.items()}
    masks = {name: read.pop(name) for name in MASKS if name in read}
    for name in read.keys() & set(plan.ct):
        padding_to_air(read[name].values, read[name].where, is_ct=True)
    for fault in (*_faults(read, masks, plan), *_patients(case, paths, read, reader)):
        raise VolumeError(fault)
    return Inputs(paths, read, masks)


def _faults(scans: dict[str, CheckedVolume], masks: dict[str, CheckedVolume], plan: Registration) -> Iterator[Finding]:
    for name, scan in scans.items():
        if min(scan.shape) < LEAST_SLICES:
            size = " x ".join(map(str, scan.shape))
            yield scan.where(f"fewer than {LEAST_SLICES} voxels along an axis", size, "give a 3-D scan, not a slice")
        if is_sheared(scan.affine):
            yield scan.where("the axes are not at right angles", "", "resample it, a tilted DICOM by --resample_tilt")
        yield from volumes.not_constant(scan)
        if name in plan.ct:
            remedy = "convert it to HU (slope, offset 1024), or leave it out of --ct"
            yield from (replace(fault, remedy=remedy) for fault in volumes.plausible_hu(scan, "--ct"))
    fixed, moving = (scans[names[0]] for names in (plan.still, plan.moved))
    for names in (plan.still, plan.moved):
        for name in names[1:]:
            yield from volumes.same_grid(scans[names[0]], scans[name])
    if not plan.centred and not covered(fixed.shape, fixed.affine, moving.shape, moving.affine).any():
        remedy = "correct the affine, or start from the centres of the bodies by --centred"
        yield moving.where("source and target do not overlap", "", remedy)
    for name, mask in masks.items():
        if not any(volumes.on_one_grid(scan, mask) for scan in (fixed, moving)):
            yield mask.where("the mask is on neither the source's nor the target's grid", "", "draw it on one of them")
        if name == DEFAULT_MASK and not (mask.values > 0).any():
            yield mask.where("the mask is empty", "", "draw it again, or remove it")


def _patients(
    case: str, paths: dict[str, str], scans: dict[str, CheckedVolume], reader: VolumeReader
) -> Iterator[Finding]:
    """DICOM series of a case must be of one patient; the ids are not shown."""
    folders = [Path(paths[name]) for name in scans if Path(paths[name]).is_dir()]
    ids = {str(reader.headers(folder, case)[0].get("PatientID", "")).strip() for folder in folders}
    if len(ids) > 1:
        where = partial(Finding, case, ", ".join(folder.name for folder in folders))
        yield where("source and target are of different patients by their PatientID", "", "pair scans of one patient")
