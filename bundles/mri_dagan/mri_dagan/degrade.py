"""Pairs of undersampled and given MR, with k-space or from it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from nibabel.orientations import io_orientation

from common.data.datalist import Item
from common.errors import Finding, VolumeError, Where, naming_case
from common.grids import in_ras, ras_spacing
from common.io import VolumeReader
from common.simulation.corruptions.masks import sampling_mask
from common.simulation.corruptions.undersampling import Scanned, Undersampled
from common.simulation.degraded_cases import (
    KSPACE_NAME,
    MR,
    PAIRS,
    cases_of,
    checked,
    degradation_of,
    kspace_files,
    random_of,
    save_pair,
)
from mri_dagan.kspace_files import read_kspace, require_h5py, write_kspace
from mri_dagan.kspace_scan import KspaceScan
from mri_dagan.reader import is_kspace

UNDERSAMPLE = "undersample"
OF_KSPACE = ("mask", "acceleration", "centre_fraction")
"""Settings by which a file of k-space is undersampled; phase, coils, noise and plane are its own."""


def write_pair(
    item: Item, folder: Path, degradation: Undersampled, seed: int, reader: VolumeReader, kspace: bool = False
) -> None:
    """Write one case as :func:`common.simulation.degraded_cases.write_pair`, from a volume or a file of k-space.

    Args:
        item: with ``case``, ``image`` and any of the masks.
        folder: of the case, which exists.
        degradation: what undersamples.
        seed: what is drawn for a case depends on it and on the case's name.
        reader: of the files.
        kspace: also write ``kspace.h5``, from which the zero-filled volume comes.

    Raises:
        DataError: a volume cannot be read, or is no magnitude image; see :func:`undersampled`.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    rng = random_of(case, seed)
    settings = OF_KSPACE if is_kspace(item["image"]) else None
    if settings:
        whole = read_kspace(Path(item["image"]), case)
        part = undersampled(whole, degradation, rng, partial(Finding, case, Path(item["image"]).name))
        affine, given, zero_filled = whole.affine, whole.zero_filled(), part.zero_filled()
        if kspace:
            scanned = Scanned(zero_filled, part.kspace, part.mask)
            write_kspace(folder / KSPACE_NAME, scanned, affine, part.axis, simulated=False)
    else:
        scan = reader.read(item["image"], case)
        affine = scan.affine
        given = checked(scan.values, affine, MR, case, Path(item["image"]).name)

        def degraded(volume: np.ndarray) -> np.ndarray:
            if not kspace:
                return np.asarray(degradation(volume, ras_spacing(affine), rng))
            scanned = degradation.scan(volume, rng)
            write_kspace(folder / KSPACE_NAME, scanned, affine, degradation.axis)
            return np.asarray(scanned.volume)

        with naming_case(case):
            zero_filled = in_ras(degraded, given, affine)
    save_pair(item, folder, UNDERSAMPLE, degradation, affine, zero_filled, given, seed, reader, settings=settings)


def undersampled(whole: KspaceScan, degradation: Undersampled, rng: np.random.Generator, where: Where) -> KspaceScan:
    """A fully sampled scan of which a mask keeps a part; phase, coils and noise are the scan's own.

    Lines that the scanner has not measured at the ends of the phase encoding, as in fastMRI, stay without samples.

    Args:
        whole: the scan.
        degradation: of the command.
        rng: for the mask.
        where: makes the errors.

    Raises:
        VolumeError: noise or coils are given; the scan is undersampled already, or its file has an
            orientation that ``write_kspace`` cannot keep.
    """
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


def write_pairs(options: argparse.Namespace, reader: VolumeReader) -> int:
    """Write all cases by the options of ``synthesize simulate undersample``, and return their number.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: no cases, or a volume cannot be read.
        OutputError: a folder exists already, or a file cannot be written.
    """
    degradation = degradation_of(options)
    if options.kspace:
        require_h5py()
    write = partial(write_pair, degradation=degradation, seed=options.seed, reader=reader, kspace=options.kspace)
    items = kspace_files(options.dataset_dir) or cases_of(options)
    PAIRS.write(items, options.out, write, options.overwrite, options.kind)
    return len(items)
