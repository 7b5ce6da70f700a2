"""Evaluation of simulation-trained networks on real scans: ``make real-check``.

Rows of every table: ``copy`` (the source), ``pretrained`` (no real image seen), ``fine-tuned`` (pretrained, then
trained on the other patients) and ``scratch`` (trained on the other patients for as many steps). Grey scales of MR are
arbitrary, so that every row alike is fitted to the truth by one line a case before it is scored; units are z-scores of
the truth inside the head. Pages with pictures are written to ``build/real-check``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

from common.metrics import tissue_order
from common.trained.export import export
from common.weights_info import read_info
from tools.real import contrasts, heads, plausibility
from tools.real.rows import Pair, Row, head_of, page, read, row_of, text
from tools.real.trainings import (
    PD_TO_T2,
    RATES,
    T1_TO_CT,
    T1_TO_T2,
    WITHOUT,
    Recipe,
    infer,
    pretrained,
    pretrained_briefly,
    trained,
)
from tools.repository import ROOT

DATA = ROOT.parent / "shared" / "data"
REPORTS = ROOT / "build" / "real-check"
BUNDLES = ROOT / "bundles"
WHOLE = Pair("whole", DATA / "spm_templates" / "pd.nii", DATA / "spm_templates" / "t2.nii")
"""Averages of many people."""

FIRST_SLICE = 40
"""Of the part of the DICOM series without a gap."""


def rows_of(recipe: Recipe, held_out: Pair, others: Sequence[Pair], out: Path, steps: int) -> list[Row]:
    """Every row for one held-out case; without other cases or steps only those that need none."""
    images = {"copy": read(held_out.source)}
    shipped = BUNDLES / recipe.bundle / "models" / recipe.weights
    images["pretrained"], warnings = infer(recipe, held_out.source, out / "none", weights=shipped)
    network = {name: value for name, value in read_info(shipped).settings.items() if not isinstance(value, dict)}
    starts = {"fine-tuned": {"pretrained": "true", "trained_with::name": recipe.weights}, "scratch": {}}
    for row, start in starts.items():
        if steps and others:
            folder = out / held_out.case / row
            trained(recipe, others, folder, steps, {**network, **start, "learning_rate": RATES[row]})
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


def templates(out: Path, steps: int) -> None:
    """PD to T2 averages of many people: scored on the left half of the head, fine-tuned on the right."""
    rows = rows_of(PD_TO_T2, WHOLE, [], out / "whole", 0)
    show("PD to T2, SPM templates, whole head", "templates", PD_TO_T2, rows)
    rows = rows_of(PD_TO_T2, half("left", out), [half("right", out)], out / "halves", steps)
    show(f"PD to T2, SPM templates, left half, {steps} steps on the right half", "halves", PD_TO_T2, rows)


def patient_pairs() -> list[Pair]:
    """T1 and T2 of three patients with multiple sclerosis."""
    folders = sorted((DATA / "open_ms").glob("patient*"))
    return [Pair(folder.name, folder / "t1.nii.gz", folder / "t2.nii.gz") for folder in folders]


def patients(out: Path, steps: int) -> None:
    """T1 to T2, each patient held out once."""
    pairs = patient_pairs()
    rows = []
    for pair in pairs:
        rows += rows_of(T1_TO_T2, pair, [other for other in pairs if other != pair], out / "ms", steps)
    show(f"T1 to T2, three patients, each held out; {steps} steps on the others", "patients", T1_TO_T2, rows)


def series(out: Path, _: int) -> None:
    """A DICOM series that is no PD: it must run, keep the grid and warn where it is unlike.

    Its slices 8 to 39 are missing, which the reader refuses; those from the 40th on are taken.
    """
    with zipfile.ZipFile(DATA / "dicom" / "mr_t2_axial.zip") as archive:
        archive.extractall(out / "series")
    for path in (out / "series").iterdir():
        if pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber < FIRST_SLICE:
            path.unlink()
    made, warnings = infer(PD_TO_T2, out / "series", out / "dicom")
    print(f"\nDICOM series mr_t2_axial: {made.shape}, finite: {np.isfinite(made).all()}\n{warnings or 'no warning'}")


def plausible_ct(out: Path, _: int) -> None:
    """MR to CT of the T1 template, of which no CT exists: HU of tissues, and bone that closes around the brain."""
    source = DATA / "spm_templates" / "t1.nii"
    ct, warnings = infer(T1_TO_CT, source, out / "ct")
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


def held_out_heads(out: Path, _: int) -> None:
    """MR to CT of label maps that no training saw, whose CT is known."""
    maps = DATA / "heads"
    print(
        f"\n{heads.table(maps, out)}" if maps.is_dir() else f"\nheads: skipped, since there are no label maps at {maps}"
    )


def without_parts(steps: int, seed: int) -> None:
    """The patients after pretraining for some steps on the whole simulation and on each that lacks a part of it."""
    pairs = patient_pairs()
    rows = [row_of(pair, "copy", read(pair.source), head_of(pair)) for pair in pairs]
    with tempfile.TemporaryDirectory() as folder:
        for part in (None, *sorted(WITHOUT.glob("*.yaml"))):
            name = f"without {part.stem.replace('_', ' ')}" if part else "whole simulation"
            out = Path(folder, name.replace(" ", "_"))
            weights = pretrained_briefly(T1_TO_T2, out, [str(part.with_suffix(""))] if part else [], steps, seed)
            for pair in pairs:
                image, _ = infer(T1_TO_T2, pair.source, out / pair.case, weights=weights)
                rows.append(row_of(pair, name, image, head_of(pair)))
            print(f"{name}: done", flush=True)
    title = f"T1 to T2, three patients, pretrained for {steps} steps by simulations that lack a part, seed {seed}"
    show(title, f"ablation_{seed}", T1_TO_T2, rows)


def pretrain() -> None:
    """Make the weights of the patients' check, which no bundle ships."""
    with tempfile.TemporaryDirectory() as folder:
        run = pretrained(T1_TO_T2, Path(folder)).parents[1]
        export(BUNDLES / T1_TO_T2.bundle, run, name=T1_TO_T2.weights)


CHECKS = {
    "templates": (templates, PD_TO_T2),
    "patients": (patients, T1_TO_T2),
    "series": (series, PD_TO_T2),
    "ct": (plausible_ct, T1_TO_CT),
    "heads": (held_out_heads, T1_TO_CT),
}
"""What each check does, and whose weights it needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks whose data and weights are there."""
    parser = argparse.ArgumentParser(prog="make real-check", description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="of fine-tuning and of training from scratch; 0 for none")
    parser.add_argument("--only", choices=list(CHECKS), help="one of the checks")
    parser.add_argument("--pretrain", action="store_true", help="first make weights that are not shipped (T1 to T2)")
    parser.add_argument("--ablation", type=int, metavar="STEPS", help="instead: pretrainings of so many steps each")
    parser.add_argument("--seed", type=int, default=0, help="of the ablation's pretrainings")
    parser.add_argument("--weights", type=Path, help="instead: MR to CT of held-out heads by these weights of a run")
    parser.add_argument("--contrasts", type=int, metavar="HEADS", help="instead: whether contrasts are told")
    options = parser.parse_args(arguments)
    if options.contrasts:
        contrasts.show(options.contrasts, DATA)
        return 0
    if not DATA.is_dir():
        print(f"real-check: skipped, since there are no scans at {DATA}")
        return 0
    if options.weights:
        with tempfile.TemporaryDirectory() as folder:
            print(heads.table(DATA / "heads", Path(folder), options.weights.resolve()))
        return 0
    if options.ablation:
        without_parts(options.ablation, options.seed)
        return 0
    if options.pretrain:
        pretrain()
    for name in [options.only] if options.only else CHECKS:
        check, recipe = CHECKS[name]
        path = BUNDLES / recipe.bundle / "models" / recipe.weights
        if not path.is_file():
            print(f"\n{name}: skipped, since {path} is not there (not shipped; see --pretrain)")
        else:
            with tempfile.TemporaryDirectory() as folder:
                check(Path(folder), options.steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
