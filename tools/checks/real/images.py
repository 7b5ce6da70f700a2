"""Volumes of files, inference by a bundle's own command, and images fitted to a truth."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from common.trust.input_check import UNLIKE, UNSUITED
from tools.demo import command
from tools.repository import ROOT


def read(path: Path) -> np.ndarray:
    """The values of a NIfTI file, (X, Y, Z) in RAS orientation; of a picture in colour (X, Y, 1, 3), Y upwards."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path), np.float32)[::-1].swapaxes(0, 1)[:, :, None]
    image: Any = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, np.float32)


def standardised(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """z-scores of a volume in the mask."""
    return np.asarray((values - values[mask].mean()) / values[mask].std())


def fitted(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image after the line that fits it to the truth in the mask by least squares."""
    slope, intercept = np.polyfit(image[mask].astype(float), truth[mask], 1)
    return np.asarray(slope * image + intercept, np.float32)


def infer(bundle: str, source: Path, out: Path, weights: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The synthetic volumes of a file, a series, a folder or a datalist by case, and the warnings with them."""
    kind = "datalist" if source.suffix == ".json" else "dataset_dir"
    places = {kind: source, "output_dir": out, "predictions_dir": out / "predictions", "weights": weights}
    words = [word for key, value in places.items() for word in (f"--{key}", str(value))]
    step = command(bundle, "inference", ["inference"], *words, "--refuse", "false", "--overwrite", "true")
    done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"inference of {bundle} failed:\n{done.stderr[-2000:]}")
    made = {path.name.split("_synthetic_")[0]: read(path) for path in (out / "predictions").glob("*.nii.gz")}
    return made, [line for line in (done.stdout + done.stderr).splitlines() if UNLIKE in line or UNSUITED in line]
