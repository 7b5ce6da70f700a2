"""The shipped weights on real scans and on heads that no training saw: ``make real-check``.

A table of what each check measured and what the weights must reach, which is less than their cards say; exit code 1
where they do not. Checks whose scans are absent are skipped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pydicom

from common.metrics import mae, tissue_order
from common.transforms import head_mask
from common.weights.shipped import shipped_weights
from tools.checks.findings import CheckFinding, table
from tools.checks.real import heads, plausibility
from tools.checks.real.images import fitted, infer, read, standardised
from tools.repository import ROOT

DATA = ROOT.parent / "shared" / "data"
"""Where the scans are, if anywhere."""
FIRST_SLICE = 40
"""Of the part of the DICOM series without a gap."""
ENCLOSED = 0.98
"""Least share of the brain that bone closes around."""


def templates(data: Path, out: Path, weights: Path) -> Iterator[CheckFinding]:
    """PD to T2, averages of many people: grey scales of MR are arbitrary, so that both are fitted to the truth."""
    source, truth = data / "pd.nii", read(data / "t2.nii")
    made, _ = infer("pd2t2_dcgan_acm", source, out, weights)
    mask = head_mask(read(source), None, axial=2, case="pd")
    wanted = standardised(truth, mask)
    line, error = (mae(fitted(image, wanted, mask), wanted, mask) for image in (read(source), made[source.stem]))
    yield CheckFinding(
        "templates", "PD to T2, SPM", f"MAE {error:.3f} z", f"< {line:.3f}, a line of the PD", error < line
    )


def series(data: Path, out: Path, weights: Path) -> Iterator[CheckFinding]:
    """A DICOM series that is no PD: its grid is kept, its values are finite, the weights warn.

    Its slices 8 to 39 are missing, which the reader refuses; those from the 40th on are taken.
    """
    folder = out / "series"
    with zipfile.ZipFile(data) as archive:
        archive.extractall(folder)
    for path in folder.iterdir():
        if pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber < FIRST_SLICE:
            path.unlink()
    made, warnings = infer("pd2t2_dcgan_acm", folder, out, weights)
    (volume,), slices = made.values(), len(list(folder.iterdir()))
    finite = bool(np.isfinite(volume).all())
    measured = f"{volume.shape}, {'finite' if finite else 'not finite'}, {len(warnings)} warnings"
    passed = finite and volume.shape[2] == slices and bool(warnings)
    yield CheckFinding("series", "T2 of a DICOM series", measured, f"{slices} slices, finite, a warning", passed)


def plausible_ct(data: Path, out: Path, weights: Path) -> Iterator[CheckFinding]:
    """MR to CT of the T1 template, which has no CT: HU of tissues, and bone that closes around the brain."""
    made, _ = infer("mr2ct_pix2pix", data, out, weights)
    ct = made[data.stem]
    affine = np.asarray(nib.as_closest_canonical(nib.nifti1.Nifti1Image.from_filename(data)).affine)
    masks = plausibility.tissue_masks(ct.shape, affine)
    brain = masks.pop("brain")
    order = tissue_order(ct, masks)
    shown = ", ".join(f"{name} {value:.0f}" for name, value in order.items() if name != "ordered")
    yield CheckFinding("ct", "medians in T1, SPM", f"{shown} HU", "rise", bool(order["ordered"]))
    closed = plausibility.enclosed(ct, brain, affine)
    yield CheckFinding("ct", "brain inside bone", f"{closed:.1%}", f">= {ENCLOSED:.0%}", closed >= ENCLOSED)


class RealCheck(NamedTuple):
    """What a check does with its data and the weights of its bundle."""

    run: Callable[[Path, Path, Path], Iterator[CheckFinding]]
    data: str
    bundle: str


CHECKS = {
    "templates": RealCheck(templates, "spm_templates", "pd2t2_dcgan_acm"),
    "series": RealCheck(series, "dicom/mr_t2_axial.zip", "pd2t2_dcgan_acm"),
    "ct": RealCheck(plausible_ct, "spm_templates/t1.nii", "mr2ct_pix2pix"),
    "heads": RealCheck(heads.findings, "heads", "mr2ct_pix2pix"),
    "t2_heads": RealCheck(partial(heads.findings, bundle="pd2t2_dcgan_acm"), "heads", "pd2t2_dcgan_acm"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the checks whose data are there."""
    parser = argparse.ArgumentParser(prog="make real-check", description=__doc__)
    parser.add_argument("--only", choices=list(CHECKS), help="name of one check to run")
    parser.add_argument("--weights", type=Path, help="weights of a run instead of the shipped ones, with --only")
    options = parser.parse_args(arguments)
    if options.weights and not options.only:
        parser.error("--weights are for one check: add --only")
    found: list[CheckFinding] = []
    for name in [options.only] if options.only else CHECKS:
        check = CHECKS[name]
        if not (DATA / check.data).exists():
            print(f"{name}: skipped, since there is no {DATA / check.data}")
            continue
        weights = options.weights or shipped_weights(ROOT / "bundles" / check.bundle)
        with tempfile.TemporaryDirectory() as folder:
            found += check.run(DATA / check.data, Path(folder), weights.resolve())
    if found:
        print(table(found))
    return 0 if all(each.passed for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
