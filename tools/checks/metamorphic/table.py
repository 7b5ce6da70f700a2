"""Rows of the metamorphic table: how far an inference moves when only storage, place or computation change."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pydicom

from common.io.reader import VolumeReader
from tools.checks.metamorphic.copies import BASE, COPIES, Copy, back, write_copies
from tools.checks.metamorphic.runs import (
    Volume,
    infer,
    infer_by_two,
    inference_settings,
    outputs,
    stitching,
    training_settings,
    volumes,
    write_weights,
)
from tools.checks.metamorphic.sources import LONG_SHAPE, SHAPE, Channel, base_affine, channels_of

STORED = "stored otherwise"
SPACING = "stored otherwise, --spacing"
COMPUTED = "computed otherwise"
FORMATS = {"dicom": "DICOM", "nrrd": "NRRD", "mha": "MetaImage"}
WORKING_SPACING = (2.2, 2.0, 1.8)
ROUNDING = {"HU": 1.0e-3, "a.u.": 1.0e-3, "DVR": 1.0e-6}
"""Largest difference, by unit, between networks that saw the same numbers: sums in another order."""
RESAMPLED = {"HU": 0.1, "a.u.": 1.0e-2, "DVR": 1.0e-4}
"""The same after a resampling: float32 headers have spacings that are wrong by 1e-7, which random weights enlarge."""
PLACES = 1.0e-3
"""Largest distance in voxels between the places of the same voxel: offsets of kilometres are rounded to float32."""
HALF_A_STEP = 0.501
"""Of the integers of a DICOM series."""
FEW = ("as it is", "axes 2 0 1, flipped", "doubly oblique")
"""Copies for two processes: an odd number, so that one process has more of them."""


class InvarianceRow(NamedTuple):
    """A change, and how far it moved the output.

    Attributes:
        family: ``STORED``, ``SPACING`` or ``COMPUTED``.
        name: of the change.
        unit: of the differences.
        largest: over the voxels.
        mean: likewise.
        places: largest distance between the places of a voxel, in voxels.
        tolerance: of ``largest``.
    """

    family: str
    name: str
    unit: str
    largest: float
    mean: float
    places: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether values and places are the same within their tolerances; NaN is not."""
        return self.places <= PLACES and self.largest <= self.tolerance


def compared(made: Volume, base: Volume, copy: Copy = BASE) -> tuple[float, float, float]:
    """Largest and mean difference of the output for a copy and for the source, and that of places in voxels."""
    values, places = back(*made, base[0].shape, copy.world @ base[1])
    difference = np.abs(values - base[0])
    return float(difference.max()), float(difference.mean()), places


def rows_of(bundle: str, folder: Path) -> list[InvarianceRow]:
    """All rows of a bundle.

    Args:
        bundle: its name.
        folder: empty, for sources, weights and outputs.
    """
    settings = inference_settings(bundle)
    trained = training_settings(bundle)
    names, modality = trained["source"].split(","), str(settings["data"]["source_modality"])
    channels = partial(channels_of, names, modality, trained.get("source_window"))
    write_weights(bundle, folder / "model.pt")
    write_copies(COPIES, channels(SHAPE), folder / "copies")
    write_copies([BASE], channels(SHAPE), folder / "one")
    write_copies([BASE], channels(LONG_SHAPE), folder / "long")
    for copy in COPIES:
        if copy.name in FEW:
            shutil.copytree(folder / "copies" / copy.case, folder / "few" / copy.case)
    run = _Runs(bundle, folder)
    kept = run.all("copies", "stored")
    rows = _of_copies(STORED, kept, ROUNDING, run.unit)
    rows += _of_copies(SPACING, run.all("copies", "spacing", spacing=list(WORKING_SPACING)), RESAMPLED, run.unit)
    place, kind = stitching(settings)
    rows.append(run.row("one case alone", run("one", "alone"), kept[BASE.case]))
    rows += _of_slices(run) if kind == "PlaneInferer" else _of_patches(run, place)
    rows += [_by_two(run, kept), *(_written_as(run, kept, name) for name in FORMATS)]
    return [*rows, _in_one_file(run, channels(SHAPE), kept[BASE.case])] if len(names) > 1 else rows


class _Runs:
    """Inferences of one bundle with its weights, each into a folder of its own."""

    def __init__(self, bundle: str, folder: Path) -> None:
        self.bundle = bundle
        self.folder = folder
        self.unit = ""

    def places(self, data: str, name: str) -> dict[str, Path]:
        """Options that say where the data and weights are, and where the output goes."""
        out = self.folder / "out" / name.replace(" ", "_")
        return {"dataset_dir": self.folder / data, "weights": self.folder / "model.pt", "predictions_dir": out}

    def all(self, data: str, name: str, **settings: Any) -> dict[str, Volume]:
        """The predictions for a folder of cases."""
        out, self.unit = infer(self.bundle, **{**self.places(data, name), **settings})
        return volumes(out)

    def __call__(self, data: str, name: str, **settings: Any) -> Volume:
        """The prediction for a folder of one case."""
        return self.all(data, name, **settings)[BASE.case]

    def row(self, name: str, made: Volume, base: Volume) -> InvarianceRow:
        """Of the source itself, computed in another way."""
        return InvarianceRow(COMPUTED, name, self.unit, *compared(made, base), RESAMPLED[self.unit])


def _of_copies(
    family: str, made: Mapping[str, Volume], tolerance: Mapping[str, float], unit: str
) -> list[InvarianceRow]:
    base = made[BASE.case]
    found = {copy.name: compared(made[copy.case], base, copy) for copy in COPIES if copy is not BASE}
    return [InvarianceRow(family, name, unit, *numbers, tolerance[unit]) for name, numbers in found.items()]


def _of_slices(run: _Runs) -> list[InvarianceRow]:
    """Slices at a time."""
    base = run("one", "slices")
    return [run.row(f"batch of {n}", run("one", f"batch {n}", inference_batch=n), base) for n in (1, 5)]


def _of_patches(run: _Runs, place: str) -> list[InvarianceRow]:
    """Patches at a time, and tiles that overlap so far that they equal one pass."""
    faithful = {f"{place}::mode": "faithful", f"{place}::roi_size": 32, f"{place}::stride": 16}
    batches = {n: run("one", f"batch {n}", **faithful, **{f"{place}::batch_size": n}) for n in (1, 4, 5)}
    rows = [run.row(f"batch of {n}", batches[n], batches[4]) for n in (1, 5)]
    tiles = run("long", "tiles", **{f"{place}::max_voxels": math.prod(LONG_SHAPE) - 1})
    return [*rows, run.row("tiles", tiles, run("long", "whole"))]


def _by_two(run: _Runs, base: Mapping[str, Volume]) -> InvarianceRow:
    places = run.places("few", "two processes")
    made = volumes(infer_by_two(run.bundle, **places))
    entries = json.loads((places["predictions_dir"] / "manifest.json").read_text())
    cases = sorted(copy.case for copy in COPIES if copy.name in FEW)
    if [(entry["case"], entry["status"]) for entry in entries] != [(case, "done") for case in cases]:
        raise ValueError(f"two processes did not write each of {cases} once: {entries}")
    largest, mean, places = np.max([compared(made[case], base[case]) for case in cases], axis=0).tolist()
    return InvarianceRow(COMPUTED, "two processes", run.unit, largest, mean, places, RESAMPLED[run.unit])


def _written_as(run: _Runs, base: Mapping[str, Volume], output_format: str) -> InvarianceRow:
    """Outputs of another format: a series has integers, with one slope."""
    found, steps = [], [0.0]
    out, _ = infer(run.bundle, **run.places("few", output_format), output_format=output_format)
    for case, path in outputs(out).items():
        scan = VolumeReader().check(path, case)
        values, (expected, affine) = scan.values.astype(float), base[case]
        if path.is_dir():
            modality = pydicom.dcmread(next(path.glob("*.dcm")), stop_before_pixels=True).Modality
            steps.append(float(json.loads(path.with_suffix(".json").read_text())["UnitPerStoredStep"]))
            values = values * steps[-1] if modality == "MR" else values
            expected = expected.clip(min=0) if modality == "PT" else expected  # activity is never stored below 0
        found.append(compared((values, scan.affine), (expected, affine)))
    largest, mean, places = np.max(found, axis=0).tolist()
    tolerance = max(HALF_A_STEP * max(steps), ROUNDING[run.unit])
    return InvarianceRow(COMPUTED, f"{FORMATS[output_format]} out", run.unit, largest, mean, places, tolerance)


def _in_one_file(run: _Runs, channels: Sequence[Channel], base: Volume) -> InvarianceRow:
    """All channels of a source as the fourth dimension of one file."""
    (run.folder / "files").mkdir()
    values = np.stack([channel.values for channel in channels], axis=-1)
    nib.save(nib.Nifti1Image(values, base_affine()), run.folder / "files" / f"{BASE.case}.nii.gz")
    numbers = compared(run("files", "in one file"), base)
    return InvarianceRow(STORED, "channels in one file", run.unit, *numbers, ROUNDING[run.unit])


def shown(rows: Mapping[str, Sequence[InvarianceRow]]) -> str:
    """The rows of bundles in Markdown: largest difference, mean in brackets, a star where it is too large."""
    lines = []
    for family in (STORED, SPACING, COMPUTED):
        heads = [f"{bundle} ({own[0].unit})" for bundle, own in rows.items()]
        lines += ["", f"| {family} | {' | '.join(heads)} |", "|---" * (len(rows) + 1) + "|"]
        names = dict.fromkeys(row.name for own in rows.values() for row in own if row.family == family)
        for name in names:
            found = [[row for row in own if (row.family, row.name) == (family, name)] for own in rows.values()]
            lines.append(f"| {name} | {' | '.join(_cell(each) for each in found)} |")
    return "\n".join(lines[1:])


def _cell(rows: Sequence[InvarianceRow]) -> str:
    return ", ".join(f"{row.largest:.2g} ({row.mean:.2g}){'' if row.holds else ' *'}" for row in rows) or "-"
