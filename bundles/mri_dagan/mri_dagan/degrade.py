"""Pairs of degraded and given MR (magnitude, full k-space), of thick and given CT; thick scans on thin slices."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation

from common.data.datalist import Item
from common.data.degraded_pairs import PairFolders, WriteCase, require_hu, save_masks, save_volume
from common.data.layouts.data_sets import find_cases
from common.errors import ConfigError, DataError, Finding, VolumeError, Where, naming_case
from common.grids import in_ras, ras_spacing, respaced
from common.io import Scan, VolumeReader
from common.io.export.nifti import save_on
from common.simulation.corruptions.magnitude import checked_magnitude
from common.simulation.corruptions.masks import sampling_mask
from common.simulation.corruptions.motion import HeadMotion
from common.simulation.corruptions.noise import RicianNoise
from common.simulation.corruptions.slices import ThickSlices, interpolated
from common.simulation.corruptions.undersampling import Scanned, Undersampled
from common.simulation.grid import Volume
from common.stitching import plane_axis
from mri_dagan.kspace_files import read_kspace, require_h5py, write_kspace
from mri_dagan.kspace_scan import KspaceScan
from mri_dagan.reader import is_kspace

MR, CT, THICK, KSPACE = "mr", "ct", "thick", "kspace.h5"
GIVEN = {MR: "mr", CT: "ndct"}
"""Names of the files of the given volumes, as the bundles take them."""
PAIRS = PairFolders(
    "degraded.json",
    ("zero_filled.nii.gz", "thick.nii.gz", "noisy.nii.gz", "moved.nii.gz", "mr.nii.gz", "ndct.nii.gz", KSPACE),
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
OF_KSPACE = ("mask", "acceleration", "centre_fraction")
"""Settings by which a file of k-space is undersampled; phase, coils, noise and plane are its own."""


def write_pair(
    item: Item,
    folder: Path,
    kind: str,
    degradation: Any,
    seed: int,
    reader: VolumeReader,
    kspace: bool = False,
    modality: str = MR,
) -> None:
    """Write one case: the degraded volume, ``mr.nii.gz`` or ``ndct.nii.gz`` (float32), masks, ``degraded.json``.

    Affines are kept; of the headers nothing but the grid is, since others may hold a name.

    Args:
        item: with ``case``, ``image`` (of the kind ``undersample`` also a file of k-space) and any of the masks.
        folder: of the case, which exists.
        kind: of ``DEGRADATIONS``.
        degradation: of that kind.
        seed: what is drawn for a case depends on it and on the case's name.
        reader: of the files.
        kspace: also write ``kspace.h5``, from which the zero-filled volume comes, of the kind ``undersample``.
        modality: ``mr``, or ``ct`` in HU, of the kind ``thicken``.

    Raises:
        DataError: a volume cannot be read, or is no magnitude image or CT in HU; see :func:`undersampled`.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    rng = np.random.default_rng([seed, *case.encode()])
    _, name, settings, text = DEGRADATIONS[kind]
    if is_kspace(item["image"]):
        settings = OF_KSPACE
        whole = read_kspace(Path(item["image"]), case)
        part = undersampled(whole, degradation, rng, partial(Finding, case, Path(item["image"]).name))
        affine, given, made = whole.affine, whole.zero_filled(), part.zero_filled()
        if kspace:
            write_kspace(folder / KSPACE, Scanned(made, part.kspace, part.mask), affine, part.axis, simulated=False)
    else:
        scan = reader.read(item["image"], case)
        affine, given = scan.affine, _checked(scan, item, modality)
        made = _made(given, affine, degradation, rng, case, folder / KSPACE if kspace else None)
    simulated = text.format(degradation, modality.upper())
    save_volume(item["image"], affine, made, folder / f"{name}.nii.gz", simulated)
    save_volume(item["image"], affine, given, folder / f"{GIVEN[modality]}.nii.gz", f"{modality.upper()} as given")
    save_masks(item, folder, reader)
    about = {name: getattr(degradation, name) for name in settings}
    PAIRS.write_record(folder, {"description": simulated, "case": case, "seed": seed, **about})


def _checked(scan: Scan, item: Item, modality: str) -> Volume:
    """The values of a magnitude MR or of a CT in HU."""
    if modality == CT:
        require_hu(item, scan)
        return np.asarray(scan.values, np.float32)
    return checked_magnitude(scan.values, f"{item['case']} ({Path(item['image']).name})")


def _made(
    given: Volume, affine: np.ndarray, degradation: Any, rng: np.random.Generator, case: str, kspace: Path | None
) -> Volume:
    """A degraded magnitude (X, Y, Z); its simulated k-space is written where a path is given."""

    def degraded(volume: np.ndarray) -> np.ndarray:
        if kspace is None:
            made: np.ndarray = degradation(volume, ras_spacing(affine), rng)
            return made
        scanned = degradation.scan(volume, rng)
        write_kspace(kspace, scanned, affine, degradation.axis)
        return np.asarray(scanned.volume)

    with naming_case(case):
        return in_ras(degraded, given, affine)


def undersampled(whole: KspaceScan, degradation: Any, rng: np.random.Generator, where: Where) -> KspaceScan:
    """A fully sampled scan of which a mask keeps a part; phase, coils and noise are the scan's own.

    Lines that the scanner has not measured at the ends of the phase encoding, as in fastMRI, stay without samples.

    Args:
        whole: the scan.
        degradation: of the kind ``undersample``.
        rng: for the mask.
        where: makes the errors.

    Raises:
        VolumeError: another kind; noise or coils are given; the scan is undersampled already, or its file has an
            orientation that ``write_kspace`` cannot keep.
    """
    if not isinstance(degradation, Undersampled):
        raise VolumeError(where("k-space cannot be degraded so", "", "reconstruct it first, or pass undersample"))
    if degradation.noise or degradation.coils != 1:
        raise VolumeError(where("k-space has noise and coils of its own", "", "omit --noise and --coils"))
    measured = np.flatnonzero(whole.mask.all(0))
    if (whole.mask != whole.mask[:1]).any() or len(measured) != np.ptp(measured) + 1:
        share = f"{whole.mask.mean():.0%} of the samples"
        raise VolumeError(where("k-space is undersampled already", share, "give fully sampled scans"))
    if not np.array_equal(whole.turn, io_orientation(whole.affine)):
        raise VolumeError(where("k-space of ISMRMRD's layout cannot be undersampled", "", "convert it to fastMRI's"))
    seed = int(rng.integers(2**63))
    mask = sampling_mask(
        degradation.mask, whole.mask.shape, degradation.acceleration, degradation.centre_fraction, seed
    )
    return replace(whole, kspace=whole.kspace * (mask & whole.mask), mask=mask & whole.mask)


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
    given = _checked(scan, item, modality)
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
    items = _kspace_files(options.dataset_dir) or find_cases(
        options.dataset_dir, "folders", source=getattr(options, CT, None) or options.mr, target=None
    )
    PAIRS.write(items, options.out, write, options.overwrite, options.kind)
    return len(items)


def _kspace_files(root: Path) -> list[Item]:
    """A case for each file of k-space directly in a folder, as fastMRI is unpacked.

    Raises:
        DataError: two files have one name.
    """
    files = sorted(path for path in root.glob("[!.]*") if is_kspace(path))
    items: dict[str, Item] = {path.stem: {"case": path.stem, "image": str(path)} for path in files}
    if len(items) < len(files):
        raise DataError(f"two files of k-space in {root} have one name but for its ending", "rename or remove one")
    return list(items.values())


def _writing(options: argparse.Namespace, reader: VolumeReader) -> WriteCase:
    """What writes a case into a folder; settings are checked."""
    modality = CT if getattr(options, CT, None) else MR
    if options.kind not in DEGRADATIONS:
        if not options.slice > 0:
            raise ConfigError(f"--slice is {options.slice}, not above 0 mm", "pass a number such as 1")
        settings = {"distance": options.slice, "plane": options.plane, "modality": modality}
        return partial(write_interpolated, reader=reader, **settings)
    if options.seed < 0:
        raise ConfigError(f"--seed is {options.seed}, below 0", "give 0 or a positive number")
    made, _, names, _ = DEGRADATIONS[options.kind]
    degradation = made(**{name: getattr(options, name) for name in names})
    kspace = getattr(options, "kspace", False)
    if kspace:
        require_h5py()
    settings = {"kind": options.kind, "degradation": degradation, "seed": options.seed, "kspace": kspace}
    return partial(write_pair, reader=reader, modality=modality, **settings)
