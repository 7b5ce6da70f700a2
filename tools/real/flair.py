"""Segmentation by synthetic FLAIR: a segmenter of lesions, trained on real FLAIR, applied to real and synthetic ones.

Three patients with multiple sclerosis, each left out once: too few for statistics. For the patient left out, FLAIR is
synthesised from T1 and T2 by ``flair.yaml`` of mr2ct_pix2pix, trained on the two others; the segmenter is trained on
the real FLAIR of the same two. After Wei et al. 2019, who compare segmentations of real and synthetic FLAIR.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from common.metrics import mae, ssim
from tools.real import lesions
from tools.real.lesions import Mask, Volume
from tools.real.rows import Z_RANGE, Pair, fitted, head_of, read, spacing_of, standardised
from tools.real.trainings import run

BUNDLE = "mr2ct_pix2pix"
EPOCHS = 4
BATCH = 4
STEPS = 400
"""Updates of a translation by default, each of :data:`BATCH` slices."""
SEGMENTER_STEPS = 240
TRAINING: Mapping[str, Any] = {
    "max_epochs": EPOCHS, "constant_epochs": EPOCHS // 2, "decay_epochs": EPOCHS // 2, "val_interval": EPOCHS,
    "batch_size": BATCH, "spacing": "[2,2,2]", "pad_size": 96, "crop_size": 80,
    "network_def::features": "[16,16,32,64,128,16]", "width": 16, "learning_rate": 1.0e-3,
    "data_check": "false",
}  # fmt: skip
"""A short training of a narrow network at 2 mm; losses, slabs and intensities are those of the overlay."""
REAL, SYNTHETIC, LINE, COPY = "real FLAIR", "synthetic FLAIR", "line of T1 and T2", "T2 as it is"


class Patient(NamedTuple):
    """Files of a patient, on one grid."""

    case: str
    t1: Path
    t2: Path
    flair: Path
    lesions: Path

    @property
    def item(self) -> dict[str, Any]:
        """Of a datalist."""
        return {"case": self.case, "image": [str(self.t1), str(self.t2)], "label": str(self.flair)}

    @property
    def pair(self) -> Pair:
        """T1 and FLAIR."""
        return Pair(self.case, self.t1, self.flair)

    @property
    def sources(self) -> list[Volume]:
        """T1 and T2 as z-scores inside the brain, (X, Y, Z) each."""
        mask = head_of(self.pair)
        return [standardised(read(path), mask) for path in (self.t1, self.t2)]


def patients(folder: Path) -> list[Patient]:
    """Those of a folder, sorted by name."""
    names = ("t1", "t2", "flair", "lesions")
    return [
        Patient(path.name, *(path / f"{name}.nii.gz" for name in names)) for path in sorted(folder.glob("patient*"))
    ]


def plane_of(sources: Sequence[Sequence[Volume]], targets: Sequence[Volume], masks: Sequence[Mask]) -> np.ndarray:
    """Weights of each source and the constant of their sum nearest to the targets by least squares, inside the masks.

    Args:
        sources: of each case, volumes (X, Y, Z).
        targets: of each case, (X, Y, Z).
        masks: of each case, (X, Y, Z).
    """
    columns = [
        np.stack([*(volume[mask] for volume in case), np.ones(mask.sum())])
        for case, mask in zip(sources, masks, strict=True)
    ]
    wanted = np.concatenate([target[mask] for target, mask in zip(targets, masks, strict=True)])
    found: np.ndarray = np.linalg.lstsq(np.concatenate(columns, axis=1).T, wanted)[0]
    return found


def fitted_plane(held_out: Patient, others: Sequence[Patient]) -> Volume:
    """FLAIR of a patient as a weighted sum of T1 and T2, fitted on others, in z-scores."""
    masks = [head_of(other.pair) for other in others]
    truths = [standardised(read(other.flair), mask) for other, mask in zip(others, masks, strict=True)]
    first, second, constant = plane_of([other.sources for other in others], truths, masks)
    t1, t2 = held_out.sources
    return np.asarray(first * t1 + second * t2 + constant, np.float32)


def synthetic(held_out: Patient, others: Sequence[Patient], folder: Path, steps: int) -> Volume:
    """FLAIR of a patient by the bundle's own commands, trained on others for so many updates."""
    folder.mkdir(parents=True)
    lists = {"training": [other.item for other in others], "test": [held_out.item]}
    (folder / "cases.json").write_text(json.dumps(lists))
    places = {"datalist": folder / "cases.json", "output_dir": folder}
    run("training", ["train", "flair"], BUNDLE, **places, **TRAINING, samples_per_epoch=BATCH * steps // EPOCHS)
    run("inference", ["inference"], BUNDLE, **places, predictions_dir=folder / "predictions")
    (made,) = (folder / "predictions").glob("*.nii.gz")
    return read(made)


def fold(held_out: Patient, others: Sequence[Patient], folder: Path, steps: int) -> list[dict[str, Any]]:
    """Scores of every FLAIR of a patient as an image, and of the lesions that are found on it."""
    images = {
        REAL: read(held_out.flair),
        SYNTHETIC: synthetic(held_out, others, folder, steps),
        LINE: fitted_plane(held_out, others),
        COPY: read(held_out.t2),
    }
    scans = [(read(other.flair), read(other.t1), read(other.lesions) > 0) for other in others]
    network = lesions.trained(scans, SEGMENTER_STEPS)
    t1, truth, mask = read(held_out.t1), read(held_out.lesions) > 0, head_of(held_out.pair)
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(mask))
    flair = standardised(images[REAL], mask)
    found = {name: lesions.segmented(network, image, t1) for name, image in images.items()}
    millilitres = float(np.prod(spacing_of(held_out.lesions))) / 1000
    rows = []
    for name, image in images.items():
        volumes = fitted(image, flair, mask)[box], flair[box], mask[box]
        rows.append({
            "case": held_out.case, "row": name, "mae": mae(*volumes), "ssim": ssim(*volumes, Z_RANGE),
            "z": float(standardised(image, mask)[truth & mask].mean()),
            **lesions.overlap(found[name], truth), "agreement": lesions.dice(found[name], found[REAL]),
            "ml": found[name].sum() * millilitres, "true ml": truth.sum() * millilitres,
        })  # fmt: skip
    return rows


def study(found: Sequence[Patient], folder: Path, steps: int) -> str:
    """The table of all patients, each left out once."""
    rows: list[dict[str, Any]] = []
    for held_out in found:
        rows += fold(held_out, [other for other in found if other != held_out], folder / held_out.case, steps)
        print(f"{held_out.case}: done", flush=True)
    return table(rows)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a patient and image, and the means over the patients."""
    frame = pd.DataFrame(rows)
    means = frame.drop(columns="case").groupby("row", sort=False).mean().reset_index()
    whole = pd.concat([frame, means.assign(case="mean")])
    title = "T1 and T2 to FLAIR and the lesions found on it, each patient left out once"
    return f"\n{title}\n{whole.round(3).to_string(index=False)}"
