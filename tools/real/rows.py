"""Scores of images whose grey scale is fitted linearly to the truth; tables and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from common.evaluation.report import Panel, Report, summarise, write_report
from common.metrics import score
from common.transforms.head import head_mask
from common.weights.info import bundle_metadata
from tools.repository import ROOT

DATA = ROOT.parent / "shared" / "data"
"""Where the scans are, if anywhere."""
Z_RANGE = (-3.0, 8.0)
"""Of the z-scores of a T2 inside the head, which the metrics with a range clip to."""

COLUMNS = ("mae", "psnr", "ssim", "sharpness")
UNIT = "z-score"
NOTES = (
    "Trained on simulated heads; no patient was seen, but by the rows that say so.",
    "Every row is fitted to the truth by one line a case. Not for clinical use.",
)


class Pair(NamedTuple):
    """One case: its name, and the files of source and truth."""

    case: str
    source: Path
    truth: Path


class Row(NamedTuple):
    """What a table says of one image, and what a picture of it needs: volumes (X, Y, Z) of one grid."""

    case: str
    method: str
    source: np.ndarray
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]
    scores: dict[str, float]


def read(path: Path) -> np.ndarray:
    """The values of a NIfTI file, (X, Y, Z) in RAS orientation."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, np.float32)


def head_of(pair: Pair) -> np.ndarray:
    """The head of a case as inference finds it, (X, Y, Z)."""
    return head_mask(read(pair.source), None, axial=2, case=pair.case)


def spacing_of(path: Path) -> tuple[float, float, float]:
    """Voxel size of a NIfTI file in mm, in RAS orientation."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    x, y, z = (float(size) for size in image.header.get_zooms()[:3])
    return x, y, z


def standardised(truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """z-scores of a volume in the mask."""
    return np.asarray((truth - truth[mask].mean()) / truth[mask].std())


def fitted(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image after the line that fits it to the truth in the mask by least squares."""
    slope, intercept = np.polyfit(image[mask].astype(float), truth[mask], 1)
    return np.asarray(slope * image + intercept, np.float32)


def row_of(pair: Pair, method: str, image: np.ndarray, mask: np.ndarray) -> Row:
    """An image of a case against its truth: grey scales of MR are arbitrary, so that every row alike is fitted."""
    truth = standardised(read(pair.truth), mask)
    shown = fitted(image, truth, mask)
    scores = score(shown, truth, mask, Z_RANGE)
    chosen = {name: scores[name] for name in COLUMNS}
    return Row(pair.case, method, read(pair.source), shown, truth, mask, spacing_of(pair.source), chosen)


def text(title: str, rows: Sequence[Row]) -> str:
    """A line a method: means over the cases, and the MAE of each case."""
    frame = pd.DataFrame([{"case": row.case, "row": row.method, **row.scores} for row in rows])
    means = frame.groupby("row", sort=False)[list(COLUMNS)].mean()
    each = frame.pivot(index="row", columns="case", values="mae").loc[means.index].add_prefix("mae of ")
    return f"\n{title}\n{means.join(each).round(3).to_string()}"


def page(path: Path, title: str, bundle: Path, rows: Sequence[Row]) -> Path:
    """The same with a picture of every row: source, image, truth and their difference."""
    scored = [{"case": row.case, "method": row.method, **row.scores} for row in rows]
    report = Report(
        title=title,
        bundle=bundle.name,
        version=bundle_metadata(bundle)["version"],
        unit=UNIT,
        value_range=Z_RANGE,
        mask_description="head, from the source",
        rows=scored,
        summary=summarise(scored),
        panels=[_panel(row) for row in rows],
        notes=NOTES,
        reference="pretrained",
    )
    write_report(path, report)
    return path


def _panel(row: Row) -> Panel:
    shared = {name: getattr(row, name) for name in ("case", "method", "source", "truth", "mask", "spacing")}
    return Panel(**shared, synthetic=row.image, source_unit="as stored", unit=UNIT, window=(-2.5, 4.0))
