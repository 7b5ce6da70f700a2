"""The pictures of the first page, a row of panels for each bundle: ``docs/images/gallery/<bundle>.jpg``.

Two scans may be shown (a chest, a skull-stripped brain); all else is a phantom. Cases are made in ``--cases`` unless
they lie there: by shipped weights in two minutes of a CPU core, for other bundles by ``tools.demo``, minutes each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Image
from pd2t2_dcgan_acm.phantoms import write_pd2t2
from PIL import Image

from common.simulation.mr_ct_pairs import write_mr2ct
from tools import demo
from tools.checks.real.images import fitted, read
from tools.repository import ROOT

CHEST, BRAIN = "lidc/chest_ct.nii.gz", "open_ms/patient19/flair.nii.gz"
"""Files of DATA: a chest of LIDC-IDRI (CC BY 3.0), a skull-stripped FLAIR of Lesjak et al. 2017 (CC BY)."""
HEIGHT, GAP, MARGIN = 176, 4, 3
"""Of a picture and between its panels in pixels; around the subject in voxels."""
FULL = 0.25
"""The difference of full colour, over the range of the window."""
Window = tuple[float, float] | None


class Row(NamedTuple):
    """The panels of a bundle.

    Args:
        files: source, result and truth, or others; axial slices of NIfTI files in the folder of cases or ``bundles/``,
            or pictures.
        windows: what is black and white in each; None: 0 and the 99.5th percentile of the slice.
        place: of the slice, a fraction of the slices.
        difference: whether result and truth share the truth's window, and a panel shows the first minus the second.
        fit: whether the result, in other units than the truth, is shown after the line that fits it to the truth.
    """

    files: Sequence[str]
    windows: Sequence[Window]
    place: float = 0.5
    difference: bool = True
    fit: bool = False


SOFT, HEAD = (-160, 240), (-200, 500)
PHANTOM = "phantom_001"
ROWS = {
    "mr2ct_pix2pix": Row(
        ("mr2ct/phantoms/phantom_000/mr.nii.gz", "mr2ct/result.nii.gz", "mr2ct/phantoms/phantom_000/ct.nii.gz"),
        (None, HEAD, HEAD), 0.55,
    ),
    "ldct_wgan_vgg": Row(
        ("ldct/pairs/chest/ldct.nii.gz", "ldct/result.nii.gz", "ldct/pairs/chest/ndct.nii.gz"),
        (SOFT, SOFT, SOFT),
    ),
    "mri_dagan": Row(
        ("mri/pairs/brain/zero_filled.nii.gz", "mri/result.nii.gz", "mri/pairs/brain/mr.nii.gz"),
        (None, None, None),
    ),
    "pd2t2_dcgan_acm": Row(
        ("pd2t2/phantoms/phantom_000/pd.nii.gz", "pd2t2/result.nii.gz", "pd2t2/phantoms/phantom_000/t2.nii.gz"),
        (None, None, None), 0.55, fit=True,
    ),
    "cect2ct_rescyclegan": Row(
        (
            f"cect2ct_rescyclegan/demo_data/{PHANTOM}/cect.nii.gz",
            f"cect2ct_rescyclegan/demo/predictions/{PHANTOM}_synthetic_ct.nii.gz",
            f"cect2ct_rescyclegan/demo_data/{PHANTOM}/ct.nii.gz",
        ),
        (SOFT, SOFT, SOFT),
    ),
    "mri2pet_sketcher_refiner": Row(
        (
            f"mri2pet_sketcher_refiner/demo_data/{PHANTOM}/mtr.nii.gz",
            f"mri2pet_sketcher_refiner/demo/predictions/{PHANTOM}_synthetic_pet.nii.gz",
            f"mri2pet_sketcher_refiner/demo_data/{PHANTOM}/pet.nii.gz",
        ),
        (None, (0, 1.8), (0, 1.8)),
    ),
    "lesion_dcgan_aug": Row(
        tuple(
            f"lesion_dcgan_aug/{file}.nii.gz"
            for name in ("cyst", "metastasis", "hemangioma")
            for file in (f"demo_data/patches/{name}/phantom_000_{name}_0", f"demo/predictions/{name}_synthetic")
        ),
        [(0, 160)] * 6, difference=False,
    ),
    "stain_gan": Row(
        (
            f"stain_gan/demo_data/{PHANTOM}/source.png",
            f"stain_gan/demo/predictions/{PHANTOM}_synthetic_stain.png",
            f"stain_gan/demo_data/{PHANTOM}/target.png",
        ),
        [(0, 255)] * 3,
    ),
    "brain_fanogan": Row(
        (
            f"brain_fanogan/demo_data/{PHANTOM}/flair.nii.gz",
            f"brain_fanogan/demo/predictions/{PHANTOM}_anomaly_map.nii.gz",
            f"brain_fanogan/demo_data/{PHANTOM}/lesion.nii.gz",
        ),
        (None, (0, 4), (0, 1)), difference=False,
    ),
    "brain3d_alphagan": Row(
        [f"brain3d_alphagan/demo/predictions/brain_0000{number}_synthetic_t1.nii.gz" for number in range(5)],
        [(0, 1)] * 5, difference=False,
    ),
}  # fmt: skip


def slab(scan: Path, slices: slice, out: Path) -> None:
    """Write some axial slices of a scan, negative values of an MR as 0."""
    image = nib.as_closest_canonical(nib.nifti1.load(scan)).slicer[:, :, slices]
    values = image.get_fdata(dtype=np.float32)
    out.parent.mkdir(parents=True)
    nib.save(Nifti1Image(np.maximum(values, 0) if out.name.startswith("mr") else values, image.affine), out)


def synthesize(*words: str | Path) -> list[str]:
    """A command of an installed user."""
    return [sys.executable, "-W", "ignore", "-m", "medical_image_synthesis", *map(str, words)]


def low_dose(data: Path, out: Path) -> list[list[str]]:
    """Of twelve slices of the chest at a quarter of the dose, photons as for the training on this scan."""
    slab(data / CHEST, slice(40, 52), out / "scans/chest/ct.nii.gz")
    simulate = ("--dataset_dir", out / "scans", "--out", out / "pairs", "--dose", "0.25", "--photons", "2e5")
    infer = synthesize("ldct", out / "pairs/chest/ldct.nii.gz", "-o", out / "result.nii.gz")
    return [synthesize("simulate", "low-dose", *simulate), infer]


def fast_mr(data: Path, out: Path) -> list[list[str]]:
    """Of eight slices of the brain, those with most lesion, 4 times undersampled."""
    slab(data / BRAIN, slice(96, 104), out / "scans/brain/mr.nii.gz")
    simulate = ("--dataset_dir", out / "scans", "--out", out / "pairs", "--acceleration", "4", "--noise", "0.005")
    infer = synthesize("mri", out / "pairs/brain/kspace.h5", "-o", out / "result.nii.gz")
    return [synthesize("simulate", "undersample", *simulate, "--kspace"), infer]


def mr_to_ct(data: Path, out: Path) -> list[list[str]]:
    """Of a phantom of 1 mm."""
    write_mr2ct(out / "phantoms", cases=1, spacing=1.0, seed=7)
    return [synthesize("mr2ct", out / "phantoms/phantom_000/mr.nii.gz", "-o", out / "result.nii.gz")]


def pd_to_t2(data: Path, out: Path) -> list[list[str]]:
    """Of a phantom of 1 mm, which the verdict refuses."""
    write_pd2t2(out / "phantoms", cases=1, spacing=1.0, seed=7)
    source, result = out / "phantoms/phantom_000/pd.nii.gz", out / "result.nii.gz"
    return [synthesize("pd2t2", source, "-o", result, "--refuse", "false")]


CASES: dict[str, Callable[[Path, Path], list[list[str]]]] = {
    "ldct": low_dose, "mri": fast_mr, "mr2ct": mr_to_ct, "pd2t2": pd_to_t2
}  # fmt: skip
"""What writes the source of a bundle with shipped weights, and the commands that are left."""


def signed(difference: np.ndarray) -> np.ndarray:
    """Colours (X, Y, 3) of a difference of scaled slices: red above 0, blue below, black at 0."""
    part = np.clip(difference / FULL, -1, 1)
    return np.stack([np.maximum(part, 0), 0.35 * np.abs(part), np.maximum(-part, 0)], axis=-1)


def box(plane: np.ndarray) -> tuple[slice, slice]:
    """The subject of a slice, brighter than a tenth of its range, and a margin."""
    inside = plane > plane.min() + 0.1 * np.ptp(plane)
    spans = [np.flatnonzero(inside.any(1 - axis)) for axis in range(2)]
    first, second = (slice(max(0, int(span[0]) - MARGIN), int(span[-1]) + MARGIN + 1) for span in spans)
    return first, second


def picture(row: Row, root: Path) -> Image.Image:
    """The panels beside each other, anterior up, of square pixels."""
    volumes = [read(root / file) for file in row.files]
    if row.fit:
        truth = volumes[2]
        volumes[1] = fitted(volumes[1], truth, truth > 0.1 * truth.max())
    planes = [volume[:, :, int(row.place * volume.shape[2])] for volume in volumes]
    shown = box(planes[0] if planes[0].ndim == 2 else planes[0].mean(axis=-1))
    windows = [
        window or (0, float(np.percentile(plane, 99.5))) for plane, window in zip(planes, row.windows, strict=True)
    ]
    if row.difference:
        windows[1] = windows[2]
    greys = [
        np.clip((plane[shown] - low) / (high - low), 0, 1) for plane, (low, high) in zip(planes, windows, strict=True)
    ]
    parts = [np.repeat(grey[..., None], 3, axis=-1) if grey.ndim == 2 else grey for grey in greys]
    if row.difference:
        error = greys[1] - greys[2]
        parts.append(signed(error if error.ndim == 2 else error.mean(axis=-1)))
    images = [Image.fromarray(np.rint(part.transpose(1, 0, 2)[::-1] * 255).astype(np.uint8)) for part in parts]
    size = (round(HEIGHT * images[0].width / images[0].height), HEIGHT)
    whole = Image.new("RGB", (len(images) * (size[0] + GAP) - GAP, HEIGHT))
    for number, image in enumerate(images):
        whole.paste(image.resize(size, Image.Resampling.BICUBIC), (number * (size[0] + GAP), 0))
    return whole


def main() -> int:
    """Make the cases that are missing and draw every row."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.gallery", description=__doc__)
    parser.add_argument("data", type=Path, help=f"folder with {CHEST} and {BRAIN}")
    parser.add_argument("--cases", type=Path, default=ROOT / "build" / "gallery", help="folder of what is made")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "gallery", help="folder of the pictures")
    given = parser.parse_args()
    for name, write in CASES.items():
        out = given.cases / name
        if not (out / "result.nii.gz").exists() and (code := demo.run_all(write(given.data, out))):
            return code
    given.out.mkdir(parents=True, exist_ok=True)
    for bundle, row in ROWS.items():
        root = given.cases if (given.cases / row.files[0]).exists() else ROOT / "bundles"
        if root != given.cases and not (root / bundle / "demo" / "evaluation").exists() and (code := demo.main(bundle)):
            return code
        picture(row, root).save(given.out / f"{bundle}.jpg", quality=85, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
