"""The pictures of the first page: one a bundle, small, and panels whose greys and colours are those of the values."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Image

from tools.docs.gallery import GAP, HEIGHT, ROWS, Row, picture
from tools.repository import ROOT, bundle_names

FOLDER = ROOT / "docs" / "images" / "gallery"


def test_the_first_page_shows_a_picture_of_every_bundle() -> None:
    shown = re.findall(r"\(docs/images/gallery/(\w+)\.jpg\)", (ROOT / "README.md").read_text())
    assert sorted(shown) == sorted(ROWS) == bundle_names() == sorted(path.stem for path in FOLDER.iterdir())
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 400_000


def test_panels_are_source_result_truth_and_difference(tmp_path: Path) -> None:
    truth = np.full((20, 20, 3), 50.0)
    result = truth.copy()
    result[:10] += 25  # too bright on the left
    result[10:] -= 12.5
    source = np.zeros_like(truth)
    source[3:17, 3:17] = 200  # with a margin of 3 all is shown
    for name, values in (("s", source), ("r", result), ("t", truth)):
        nib.save(Nifti1Image(values.astype(np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    drawn = np.asarray(picture(Row(("s.nii.gz", "r.nii.gz", "t.nii.gz"), (None, None, (0, 100))), tmp_path))
    assert drawn.shape == (HEIGHT, 4 * HEIGHT + 3 * GAP, 3)
    starts = [number * (HEIGHT + GAP) for number in range(4)]
    left, right = HEIGHT // 4, 3 * HEIGHT // 4
    greys = [[drawn[HEIGHT // 2, start + side].tolist() for side in (left, right)] for start in starts]
    assert greys[0] == [[255] * 3] * 2
    assert greys[1] == [[191] * 3, [96] * 3]  # 75 and 37.5 of 100
    assert greys[2] == [[128] * 3] * 2
    assert greys[3] == [[255, 89, 0], [0, 45, 128]]  # 25 and -12.5 of 100, full at 25
    assert (drawn[:, HEIGHT : HEIGHT + GAP] == 0).all()
