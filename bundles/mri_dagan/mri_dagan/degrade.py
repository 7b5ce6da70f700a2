"""Pairs of degraded and given MR from a folder of magnitude MR, and thick scans interpolated onto thin slices.

``python -m mri_dagan.degrade undersample --dataset_dir DATA --out PAIRS --mask cartesian --acceleration 4``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation
from tqdm import tqdm

from common.data.datalist import Item
from common.data.degraded_pairs import PairFolders, save_masks, save_volume
from common.data.layouts.folders import find_cases
from common.errors import ConfigError, DataError, exit_code_of_mistakes, of_case, path_option
from common.files import write_whole_folder
from common.grids import in_ras, ras_spacing, respaced
from common.io import VolumeReader
from common.io.export.nifti import save_on
from common.io.options import add_reader_options, reader_of
from common.stitching import PLANES, plane_axis
from mri_dagan.degradations import (
    PROFILES,
    RicianNoise,
    ThickSlices,
    Undersampled,
    checked_magnitude,
    interpolated,
)
from mri_dagan.kspace_files import require_h5py, write_kspace
from mri_dagan.masks import MASKS

MR, THICK, KSPACE = "mr", "thick", "kspace.h5"
PAIRS = PairFolders("degraded.json", ("zero_filled.nii.gz", "thick.nii.gz", "noisy.nii.gz", "mr.nii.gz", KSPACE))
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
        "SIMULATED MR of {0.thickness:g} mm slices on thin ones, cubic: not a scan",
    ),
    "noise": (RicianNoise, "noisy", ("level",), "SIMULATED MR with Rician noise of {0.level:g}: not a scan"),
}
"""Of a subcommand: the class, the name of its file, its settings, and what its header says."""
Write = Callable[[Item, Path], None]


def write_pair(
    item: Item, folder: Path, kind: str, degradation: Any, seed: int, reader: VolumeReader, kspace: bool = False
) -> None:
    """Write one case: the degraded volume, ``mr.nii.gz`` (both float32), its masks, and ``degraded.json``.

    Affines are kept; of the headers nothing but the grid is, since others may hold a name.

    Args:
        item: with ``case``, ``image`` and any of the masks.
        folder: of the case, which exists.
        kind: of ``DEGRADATIONS``.
        degradation: of that kind.
        seed: what is drawn for a case depends on it and on the case's name.
        reader: of the files.
        kspace: also write ``kspace.h5``, from which the zero-filled volume comes, of the kind ``undersample``.

    Raises:
        DataError: a volume cannot be read, or is no magnitude image.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    given = checked_magnitude(scan.values, f"{case} ({Path(item['image']).name})")
    rng = np.random.default_rng([seed, *case.encode()])

    def degraded(volume: np.ndarray) -> np.ndarray:
        if not kspace:
            made: np.ndarray = degradation(volume, ras_spacing(scan.affine), rng)
            return made
        scanned = degradation.scan(volume, rng)
        write_kspace(folder / KSPACE, scanned, scan.affine, degradation.axis)
        return np.asarray(scanned.volume)

    with of_case(case):
        made = in_ras(degraded, given, scan.affine)
    _, name, settings, text = DEGRADATIONS[kind]
    simulated = text.format(degradation)
    save_volume(item["image"], scan.affine, made, folder / f"{name}.nii.gz", simulated)
    save_volume(item["image"], scan.affine, given, folder / f"{MR}.nii.gz", "MR as given")
    save_masks(item, folder, reader)
    about = {name: getattr(degradation, name) for name in settings}
    PAIRS.write_record(folder, {"description": simulated, "case": case, "seed": seed, **about})


def write_interpolated(item: Item, folder: Path, distance: float, plane: str, reader: VolumeReader) -> None:
    """Write one thick scan as ``thick.nii.gz`` on thin slices by cubic splines, and ``degraded.json``.

    The thin slices begin at the first thick one and end at the last. Masks are left out: nothing is scored.

    Args:
        item: with ``case`` and ``image``.
        folder: of the case, which exists.
        distance: of the thin slices in mm.
        plane: of the slices.
        reader: of the files.

    Raises:
        DataError: a volume cannot be read, is no magnitude image, or its slices are not farther apart than
            ``distance``.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    name = f"{case} ({Path(item['image']).name})"
    given = checked_magnitude(scan.values, name)
    own = ras_spacing(scan.affine)[plane_axis(plane)]
    axis = int(np.flatnonzero(io_orientation(scan.affine)[:, 0] == plane_axis(plane))[0])
    if not distance < own or given.shape[axis] < 2:
        rule = f"has at least two {plane} slices more than {distance:g} mm apart"
        remedy = "give a smaller --slice, or the --plane of the thick slices"
        raise DataError(name, rule, f"{given.shape[axis]} slices {own:g} mm apart", remedy)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    spacing[axis] = distance
    shape, affine = respaced(given.shape, scan.affine, spacing)
    thin = interpolated(given, np.arange(given.shape[axis]) * own, np.arange(shape[axis]) * distance, axis)
    text = f"INTERPOLATED MR: slices {own:g} mm apart at {distance:g} mm, cubic splines: not a scan of this resolution"
    save_on(affine, thin, folder / f"{THICK}.nii.gz", "float32", text)
    about = {"description": text, "case": case, "slice": distance, "given_slice": own, "plane": plane}
    PAIRS.write_record(folder, about)


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    write = _writing(options)
    items = find_cases(options.dataset_dir, "folders", source=options.mr, target=None)
    folders = [options.out / str(item["case"]) for item in items]
    PAIRS.require_free(folders, options.overwrite)
    for item, folder in zip(tqdm(items, desc=options.kind, unit="case", disable=None), folders, strict=True):
        write_whole_folder(folder, partial(write, item), PAIRS.is_own)
    print(f"{len(items)} cases written to {options.out}")
    return 0


def _writing(options: argparse.Namespace) -> Write:
    """What writes a case into a folder; settings are checked."""
    reader = reader_of(options)
    if options.kind not in DEGRADATIONS:
        if not options.slice > 0:
            raise ConfigError("--slice", "is a distance in mm above 0", options.slice, "give such as 1")
        return partial(write_interpolated, distance=options.slice, plane=options.plane, reader=reader)
    if options.seed < 0:
        raise ConfigError("--seed", "is not negative", options.seed, "give zero or a positive number")
    made, _, names, _ = DEGRADATIONS[options.kind]
    degradation = made(**{name: getattr(options, name) for name in names})
    kspace = getattr(options, "kspace", False)
    if kspace:
        require_h5py()
    settings = {"kind": options.kind, "degradation": degradation, "seed": options.seed, "kspace": kspace}
    return partial(write_pair, reader=reader, **settings)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m mri_dagan.degrade", description=about)
    kinds = parser.add_subparsers(dest="kind", required=True)
    undersample = kinds.add_parser("undersample", help="zero-filled MR of an undersampled k-space")
    add = undersample.add_argument
    add("--mask", choices=MASKS, default="cartesian", help="of the samples (default: %(default)s)")
    add("--acceleration", type=float, default=4.0, help="samples over measured ones, above 1 (default: %(default)s)")
    add("--centre_fraction", type=float, help="measured in the middle (default: 0.32 / acceleration)")
    add("--noise", type=float, default=0.0, help="standard deviation over the 99.5th percentile (default: %(default)s)")
    add("--coils", type=int, default=1, help="simulated receive coils (default: %(default)s)")
    add("--largest_phase", type=float, default=1.5, help="largest simulated phase in radians (default: %(default)s)")
    add("--kspace", action="store_true", help=f"also write <case>/{KSPACE}, in fastMRI's layout")
    thicken = kinds.add_parser("thicken", help="thick slices on the thin grid")
    add = thicken.add_argument
    add("--thickness", type=float, default=5.0, help="of a slice in mm (default: %(default)s)")
    add("--gap", type=float, default=0.0, help="between slices in mm (default: %(default)s)")
    add("--profile", choices=PROFILES, default="gaussian", help="of a slice (default: %(default)s)")
    noise = kinds.add_parser("noise", help="Rician noise")
    text = "standard deviation over the 99.5th percentile (default: %(default)s)"
    noise.add_argument("--level", type=float, default=0.1, help=text)
    interpolate = kinds.add_parser("interpolate", help="a thick scan on thin slices, for a network of thin slices")
    interpolate.add_argument("--slice", type=float, default=1.0, help="distance in mm (default: %(default)s)")
    for each in (undersample, thicken, interpolate):
        each.add_argument("--plane", choices=list(PLANES), default="axial", help="of the slices (default: %(default)s)")
    for each in (undersample, thicken, noise):
        each.add_argument("--seed", type=int, default=0, help="of what is drawn, with the case's name")
    for each in (undersample, thicken, noise, interpolate):
        _add_common(each)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset_dir", type=path_option, required=True, help="folder of the cases, <case>/<mr>.nii.gz or DICOM")
    add("--out", type=path_option, required=True, help="folder for <case>/ with the made files")
    add("--mr", default=MR, help="name of the MR's file or folder of slices (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace cases that exist")
    add_reader_options(parser)


if __name__ == "__main__":
    sys.exit(main())
