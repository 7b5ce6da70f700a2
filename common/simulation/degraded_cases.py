"""Pairs of degraded and given MR, of thick and given CT; thick scans on thin slices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation

from ..data.datalist import Item
from ..data.degraded_pairs import PairFolders, WriteCase, require_hu, save_masks, save_volume
from ..data.layouts.data_sets import find_cases
from ..errors import ConfigError, DataError, Finding, VolumeError, naming_case
from ..grids import in_ras, ras_spacing, respaced
from ..io import VolumeReader
from ..io.export.nifti import save_on
from ..io.reader import KSPACE
from ..stitching import plane_axis
from .corruptions.magnitude import Corruption, checked_magnitude
from .corruptions.motion import HeadMotion
from .corruptions.noise import RicianNoise
from .corruptions.slices import ThickSlices, interpolated
from .corruptions.undersampling import Undersampled
from .grid import Volume

MR, CT, THICK, KSPACE_NAME = "mr", "ct", "thick", "kspace.h5"
GIVEN = {MR: "mr", CT: "ndct"}
"""Names of the files of the given volumes, as the bundles take them."""
PAIRS = PairFolders(
    "degraded.json",
    ("zero_filled.nii.gz", "thick.nii.gz", "noisy.nii.gz", "moved.nii.gz", "mr.nii.gz", "ndct.nii.gz", KSPACE_NAME),
)
DEGRADATIONS: dict[str, tuple[type, str, tuple[str, ...], str]] = {
    "undersample": (
        Undersampled,
        "zero_filled",
        ("mask", "acceleration", "centre_fraction", "noise", "coils", "largest_phase", "plane"),
        "SIMULATED MR, {0.acceleration:g} times undersampled ({0.mask}), zero-filled: not a scan",
    ),
    "thicken": (
        ThickSlices,
        THICK,
        ("thickness", "gap", "profile", "plane"),
        "SIMULATED {1} of {0.thickness:g} mm slices on thin ones, cubic: not a scan",
    ),
    "noise": (RicianNoise, "noisy", ("level",), "SIMULATED MR with Rician noise of {0.level:g}: not a scan"),
    "motion": (
        HeadMotion,
        "moved",
        ("distance_mm", "degrees", "movements", "plane"),
        "SIMULATED MR with {0.movements} movements of {0.distance_mm:g} mm, {0.degrees:g} degrees: not a scan",
    ),
}
"""Of a subcommand: the class, the name of its file, its settings, and the text of its header."""


def write_pair(
    item: Item, folder: Path, kind: str, degradation: Any, seed: int, reader: VolumeReader, modality: str = MR
) -> None:
    """Write one case: the degraded volume, ``mr.nii.gz`` or ``ndct.nii.gz`` (float32), masks, ``degraded.json``.

    Affines are kept; of the headers nothing but the grid is, since others may hold a name.

    Args:
        item: with ``case``, ``image`` and any of the masks.
        folder: of the case, which exists.
        kind: of ``DEGRADATIONS``.
        degradation: of that kind.
        seed: what is drawn for a case depends on it and on the case's name.
        reader: of the files.
        modality: ``mr``, or ``ct`` in HU, of the kind ``thicken``.

    Raises:
        DataError: a volume cannot be read, or is no magnitude image or CT in HU.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    given = checked(scan.values, scan.affine, modality, case, Path(item["image"]).name)
    with naming_case(case):
        degraded = corrupted(degradation, given, scan.affine, random_of(case, seed))
    save_pair(item, folder, kind, degradation, scan.affine, degraded, given, seed, reader, modality)


def corrupted(corruption: Corruption, volume: np.ndarray, affine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A corrupted volume (X, Y, Z) on the grid of the given one, whose axes are in any order.

    Args:
        corruption: of volumes with axes in RAS order.
        volume: (X, Y, Z).
        affine: its, (4, 4) to RAS mm.
        rng: of what is drawn.
    """
    return in_ras(lambda turned: corruption(turned, ras_spacing(affine), rng), volume, affine)


def random_of(case: str, seed: int) -> np.random.Generator:
    """What is random in a case, by its name."""
    return np.random.default_rng([seed, *case.encode()])


def require_seed(seed: int) -> None:
    """Refuse a seed below 0.

    Raises:
        ConfigError: for such a seed.
    """
    if seed < 0:
        raise ConfigError(f"--seed is {seed}, below 0", "give 0 or a positive number")


def save_pair(
    item: Item,
    folder: Path,
    kind: str,
    degradation: Any,
    affine: np.ndarray,
    degraded: Volume,
    given: Volume,
    seed: int,
    reader: VolumeReader,
    modality: str = MR,
    settings: Sequence[str] | None = None,
) -> None:
    """Write a pair of volumes (X, Y, Z), the masks and ``degraded.json`` with some settings; see :func:`write_pair`."""
    _, name, names, text = DEGRADATIONS[kind]
    simulated = text.format(degradation, modality.upper())
    save_volume(item["image"], affine, degraded, folder / f"{name}.nii.gz", simulated)
    save_volume(item["image"], affine, given, folder / f"{GIVEN[modality]}.nii.gz", f"{modality.upper()} as given")
    save_masks(item, folder, reader)
    about = {name: getattr(degradation, name) for name in settings or names}
    PAIRS.write_record(folder, {"description": simulated, "case": str(item["case"]), "seed": seed, **about})


def checked(values: np.ndarray, affine: np.ndarray, modality: str, case: str, file: str) -> Volume:
    """The values (X, Y, Z) of a magnitude MR or of a CT in HU; case and file, which may be empty, are for messages.

    Raises:
        DataError: they are neither.
    """
    if modality == CT:
        require_hu(values, affine, partial(Finding, case, file))
        return np.asarray(values, np.float32)
    return checked_magnitude(values, f"{case} ({file})" if file else case)


def write_interpolated(
    item: Item, folder: Path, distance: float, plane: str, reader: VolumeReader, modality: str = MR
) -> None:
    """Write one thick scan as ``thick.nii.gz`` on thin slices by cubic splines, and ``degraded.json``.

    The thin slices begin at the first thick one and end at the last. Masks are not written: nothing is scored.

    Args:
        item: with ``case`` and ``image``.
        folder: of the case, which exists.
        distance: of the thin slices in mm.
        plane: of the slices.
        reader: of the files.
        modality: ``mr``, or ``ct`` in HU.

    Raises:
        DataError: a volume cannot be read, is no magnitude image or CT in HU, or its slices are not farther apart than
            ``distance``.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    name = f"{case} ({Path(item['image']).name})"
    given = checked(scan.values, scan.affine, modality, case, Path(item["image"]).name)
    own = ras_spacing(scan.affine)[plane_axis(plane)]
    axis = int(np.flatnonzero(io_orientation(scan.affine)[:, 0] == plane_axis(plane))[0])
    if not distance < own or given.shape[axis] < 2:
        fault = f"{name} has {given.shape[axis]} {plane} slices {own:g} mm apart, not two or more over {distance:g} mm"
        raise DataError(fault, "lower --slice, or give the --plane of the thick slices")
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    spacing[axis] = distance
    shape, affine = respaced(given.shape, scan.affine, spacing)
    thin = interpolated(given, np.arange(given.shape[axis]) * own, np.arange(shape[axis]) * distance, axis)
    apart = f"slices {own:g} mm apart at {distance:g} mm, cubic splines"
    text = f"INTERPOLATED {modality.upper()}: {apart}: not a scan of this resolution"
    save_on(affine, thin, folder / f"{THICK}.nii.gz", "float32", text)
    about = {"description": text, "case": case, "slice": distance, "given_slice": own, "plane": plane}
    PAIRS.write_record(folder, about)


def write_pairs(options: argparse.Namespace, reader: VolumeReader) -> int:
    """Write all cases by the options of ``synthesize simulate``, and return their number.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: no cases, or a volume cannot be read.
        OutputError: a folder exists already, or a file cannot be written.
    """
    write = _writing(options, reader)
    for item in kspace_files(options.dataset_dir):
        remedy = "reconstruct it first, or pass undersample"
        raise VolumeError(Finding(item["case"], Path(item["image"]).name, "k-space cannot be degraded so", "", remedy))
    items = cases_of(options)
    PAIRS.write(items, options.out, write, options.overwrite, options.kind)
    return len(items)


def cases_of(options: argparse.Namespace) -> list[Item]:
    """The cases with the volume that the options name."""
    name = getattr(options, CT, None) or options.mr
    return find_cases(options.dataset_dir, "folders", source=name, target=None)


def kspace_files(root: Path) -> list[Item]:
    """A case for each file of k-space directly in a folder, as fastMRI is unpacked.

    Raises:
        DataError: two files have one name.
    """
    files = sorted(path for path in root.glob("[!.]*") if path.suffix.lower() in KSPACE and path.is_file())
    items: dict[str, Item] = {path.stem: {"case": path.stem, "image": str(path)} for path in files}
    if len(items) < len(files):
        raise DataError(f"two files of k-space in {root} have one name but for its ending", "rename or remove one")
    return list(items.values())


def degradation_of(options: argparse.Namespace) -> Any:
    """What degrades, by the options; they are checked."""
    require_seed(options.seed)
    kind, _, names, _ = DEGRADATIONS[options.kind]
    return kind(**{name: getattr(options, name) for name in names})


def _writing(options: argparse.Namespace, reader: VolumeReader) -> WriteCase:
    """What writes a case into a folder."""
    modality = CT if getattr(options, CT, None) else MR
    if options.kind in DEGRADATIONS:
        settings = {"kind": options.kind, "degradation": degradation_of(options), "seed": options.seed}
        return partial(write_pair, reader=reader, modality=modality, **settings)
    if not options.slice > 0:
        raise ConfigError(f"--slice is {options.slice}, not above 0 mm", "pass a number such as 1")
    return partial(write_interpolated, distance=options.slice, plane=options.plane, reader=reader, modality=modality)
