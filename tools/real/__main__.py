"""Evaluation of simulation-trained networks on real scans: ``make real-check``.

Rows of every table: ``copy`` (the source), ``pretrained`` (no real image seen), ``fine-tuned`` (pretrained, then
trained on the other patients) and ``scratch`` (trained on the other patients for as many steps); those of the check
``flair`` are in :mod:`tools.real.flair`. Grey scales of MR are arbitrary, so that every row alike is fitted to the
truth by one line a case before it is scored; units are z-scores of the truth inside the head. Pages with pictures are
written to ``build/real-check``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pydicom

from common.metrics import tissue_order
from medical_image_synthesis.shipping import export
from tools.real import ablation, contrasts, enhanced, flair, heads, plausibility
from tools.real.rows import DATA, Pair, Row, head_of, page, read, row_of, text
from tools.real.trainings import (
    BUNDLES,
    PD_TO_T2,
    RATES,
    T1_TO_T2,
    TO_CT,
    WITHOUT_AGENT,
    Recipe,
    infer,
    pretrained,
    trained,
)
from tools.repository import ROOT

MAPS = DATA / "heads"
REPORTS = ROOT / "build" / "real-check"
WHOLE = Pair("whole", DATA / "spm_templates" / "pd.nii", DATA / "spm_templates" / "t2.nii")
"""Averages of many people."""

FIRST_SLICE = 40
"""Of the part of the DICOM series without a gap."""


def rows_of(recipe: Recipe, held_out: Pair, others: Sequence[Pair], out: Path, steps: int, weights: Path) -> list[Row]:
    """Every row for one held-out case; without other cases or steps only those that need none."""
    images = {"copy": read(held_out.source)}
    images["pretrained"], warnings = infer(recipe, held_out.source, out / "none", weights)
    for row in RATES if steps and others else ():
        folder = out / held_out.case / row
        trained(recipe, row, others, folder, steps)
        images[row], _ = infer(recipe, held_out.source, folder)
    print(warnings or f"{held_out.case}: like the simulations", flush=True)
    return [row_of(held_out, row, image, head_of(held_out)) for row, image in images.items()]


def show(title: str, name: str, recipe: Recipe, rows: Sequence[Row]) -> None:
    """Print a table and write its page."""
    print(text(title, rows))
    print(f"pictures: {page(REPORTS / f'{name}.html', title, BUNDLES / recipe.bundle, rows)}", flush=True)


def half(part: str, out: Path) -> Pair:
    """The left or right half of the templates; voxels are stored from right to left."""
    files = []
    for name in ("pd", "t2"):
        image = nib.nifti1.Nifti1Image.from_filename(DATA / "spm_templates" / f"{name}.nii")
        middle = image.shape[0] // 2
        cut = image.slicer[middle:] if part == "left" else image.slicer[:middle]
        files.append(out / f"{part}_{name}.nii.gz")
        nib.save(nib.Nifti1Image(np.asarray(cut.dataobj, np.float32), cut.affine), files[-1])
    return Pair(part, *files)


def templates(out: Path, steps: int, weights: Path) -> None:
    """PD to T2 averages of many people: scored on the left half of the head, fine-tuned on the right."""
    rows = rows_of(PD_TO_T2, WHOLE, [], out / "whole", 0, weights)
    show("PD to T2, SPM templates, whole head", "templates", PD_TO_T2, rows)
    rows = rows_of(PD_TO_T2, half("left", out), [half("right", out)], out / "halves", steps, weights)
    show(f"PD to T2, SPM templates, left half, {steps} steps on the right half", "halves", PD_TO_T2, rows)


def patient_pairs() -> list[Pair]:
    """T1 and T2 of three patients with multiple sclerosis."""
    folders = sorted((DATA / "open_ms").glob("patient*"))
    return [Pair(folder.name, folder / "t1.nii.gz", folder / "t2.nii.gz") for folder in folders]


def patients(out: Path, steps: int, weights: Path) -> None:
    """T1 to T2, each patient held out once."""
    pairs = patient_pairs()
    rows = []
    for pair in pairs:
        rows += rows_of(T1_TO_T2, pair, [other for other in pairs if other != pair], out / "ms", steps, weights)
    show(f"T1 to T2, three patients, each held out; {steps} steps on the others", "patients", T1_TO_T2, rows)


def series(out: Path, _: int, weights: Path) -> None:
    """A DICOM series that is no PD: it must run, keep the grid and warn where it is unlike.

    Its slices 8 to 39 are missing, which the reader refuses; those from the 40th on are taken.
    """
    with zipfile.ZipFile(DATA / "dicom" / "mr_t2_axial.zip") as archive:
        archive.extractall(out / "series")
    for path in (out / "series").iterdir():
        if pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber < FIRST_SLICE:
            path.unlink()
    made, warnings = infer(PD_TO_T2, out / "series", out / "dicom", weights)
    print(f"\nDICOM series mr_t2_axial: {made.shape}, finite: {np.isfinite(made).all()}\n{warnings or 'no warning'}")


def plausible_ct(out: Path, _: int, weights: Path) -> None:
    """MR to CT of the T1 template, of which no CT exists: HU of tissues, and bone that closes around the brain."""
    source = DATA / "spm_templates" / "t1.nii"
    ct, warnings = infer(TO_CT, source, out / "ct", weights)
    affine = np.asarray(nib.as_closest_canonical(nib.nifti1.Nifti1Image.from_filename(source)).affine)
    masks = plausibility.tissue_masks(ct.shape, affine)
    print("\nMR to CT, T1 template: HU, quartiles")
    for name, low, median, high, expected in plausibility.tissues(ct, masks):
        print(f"{name:6} {low:6.0f} {median:6.0f} {high:6.0f}   expected {expected:.0f}")
    order = tissue_order(ct, {name: masks[name] for name in ("csf", "white", "grey")})
    print(f"fluid < white < grey: {'yes' if order['ordered'] else 'no'}")
    closed = plausibility.enclosed(ct, masks["brain"], affine)
    print(f"bone above {plausibility.BONE_HU:.0f} HU encloses {closed:.0%} of the brain in its upper half")
    print(warnings or "no warning")


def held_out_heads(out: Path, _: int, weights: Path) -> None:
    """MR to CT of label maps that no training saw, whose CT is known."""
    table = heads.table(MAPS, out, REPORTS / "heads.html", weights) if MAPS.is_dir() else f"skipped: there is no {MAPS}"
    print(f"\nheads: {table}")


def enhanced_scans(out: Path, _: int, weights: Path) -> None:
    """CT with contrast medium to CT without: an angiography, and a head that has none."""
    print(f"\n{enhanced.table(DATA, out, weights)}")
    if MAPS.is_dir():
        print(f"\n{enhanced.held_out(MAPS, out, weights)}")


def pretrain() -> None:
    """Make the weights of the patients' check, which no bundle ships."""
    with tempfile.TemporaryDirectory() as folder:
        pretrained(T1_TO_T2, Path(folder), MAPS if MAPS.is_dir() else None)
        export(BUNDLES / T1_TO_T2.bundle, Path(folder), name=T1_TO_T2.name)


def lesions_on_flair(out: Path, steps: int, _: Path) -> None:
    """T1 and T2 to FLAIR, and what a segmenter of lesions finds on real and synthetic FLAIR."""
    found = flair.patients(DATA / "open_ms")
    if not found or not steps:
        reason = "it trains its own networks (no --weights, --steps above 0)" if found else f"{DATA} has no open_ms"
        print(f"\nflair: skipped, since {reason}")
        return
    print(flair.study(found, out, steps))


class Check(NamedTuple):
    """What a check does, whose weights it needs, if any, and how many steps its trainings have by default."""

    run: Callable[[Path, int, Path], None]
    recipe: Recipe | None
    steps: int = 60


CHECKS = {
    "templates": Check(templates, PD_TO_T2),
    "patients": Check(patients, T1_TO_T2),
    "series": Check(series, PD_TO_T2),
    "ct": Check(plausible_ct, TO_CT),
    "heads": Check(held_out_heads, TO_CT),
    "enhanced": Check(enhanced_scans, WITHOUT_AGENT),
    "flair": Check(lesions_on_flair, None, flair.STEPS),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks whose data and weights are there."""
    parser = argparse.ArgumentParser(prog="make real-check", description=__doc__)
    defaults = ", ".join(f"{name} {check.steps}" for name, check in CHECKS.items())
    steps_help = f"of fine-tuning and of training from scratch ({defaults}); 0 for none"
    parser.add_argument("--steps", type=int, help=steps_help)
    parser.add_argument("--only", choices=list(CHECKS), help="one of the checks")
    parser.add_argument("--pretrain", action="store_true", help="first make weights that are not shipped (T1 to T2)")
    parser.add_argument("--weights", type=Path, help="of a run instead of the shipped ones, in one check; no trainings")
    parser.add_argument("--ablation", type=int, metavar="STEPS", help="instead: pretrainings of so many steps each")
    parser.add_argument("--seed", type=int, default=0, help="of the ablation's pretrainings")
    parser.add_argument("--contrasts", type=int, metavar="HEADS", help="instead: whether contrasts are told")
    options = parser.parse_args(arguments)
    if options.weights and not options.only:
        parser.error("--weights: are those of one bundle, but got no check; add --only")
    if options.contrasts:
        contrasts.show(options.contrasts, DATA)
        return 0
    if not DATA.is_dir():
        print(f"real-check: skipped, since there are no scans at {DATA}")
        return 0
    if options.ablation:
        there = MAPS.is_dir()
        print(ablation.table(MAPS, options.ablation, options.seed) if there else f"skipped: there is no {MAPS}")
        return 0
    if options.pretrain:
        pretrain()
    for name in [options.only] if options.only else CHECKS:
        check = CHECKS[name]
        weights = (options.weights or (check.recipe.weights if check.recipe else Path())).resolve()
        if check.recipe and not weights.is_file():
            remedy = "--pretrain makes it" if check.recipe == T1_TO_T2 else "give that of a pretraining by --weights"
            print(f"\n{name}: skipped, since {weights} is not there (not shipped; {remedy})")
            continue
        with tempfile.TemporaryDirectory() as folder:
            steps = check.steps if options.steps is None else options.steps
            check.run(Path(folder), 0 if options.weights else steps, weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())
