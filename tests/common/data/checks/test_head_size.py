"""Lengths in another unit than mm are named by the size of the volume, before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.data.checks.before_training import check_cases
from common.data.checks.head_size import HeadSize
from common.errors import DataError, VolumeError
from common.io import VolumeReader
from common.weights import checkpoints


@pytest.fixture
def heads(tmp_path: Path) -> HeadSize:
    about = {"schema_version": 1, "bundle": "b", "settings": {}, "trained_on": {}}
    weights = tmp_path / "w.pt"
    checkpoints.save({}, weights)
    weights.with_suffix(".json").write_text(json.dumps({**about, "contrasts": ["T1"]}))
    return HeadSize(weights)


def scan(path: Path, *spacing: float, shape: tuple[int, int, int] = (20, 20, 20)) -> str:
    values = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([*spacing, 1.0])), path)
    return str(path)


@pytest.mark.parametrize(
    ("sides", "fits"),
    [
        ((512, 512, 256), True),  # a large field of view
        ((80, 60, 5), True),  # a slab
        ((79, 79, 79), False),
        ((10.9, 13.1, 10.9), False),  # a mouse, or cm
        ((500, 200, 600), True),
        ((601, 220, 190), False),
    ],
)
def test_the_longest_side_is_that_of_a_scan_of_a_head(heads: HeadSize, sides: tuple, fits: bool) -> None:
    affine = np.diag([*(side / 20 for side in sides), 1.0])
    assert (heads.fault((20, 20, 20), affine) == "") == fits
    assert HeadSize(Path("none.pt")).fault((20, 20, 20), affine) == "", "weights that know no heads take all"


def test_a_case_of_another_size_is_refused_in_one_sentence(heads: HeadSize, tmp_path: Path) -> None:
    grid = VolumeReader().extent(scan(tmp_path / "mouse.nii", 0.5, 0.6, 0.7), "mouse")
    assert grid is not None
    message = (
        r"^mouse measures 10 x 12 x 14 mm, a scan of a head 80 to 600 mm: check the unit of its voxel sizes, mm are"
        r" needed$"
    )
    with pytest.raises(DataError, match=message):
        heads("mouse", grid)


def test_the_check_warns_since_mice_are_data_too(heads: HeadSize, tmp_path: Path) -> None:
    item = {"case": "mouse", "image": scan(tmp_path / "mouse.nii", 0.5, 0.5, 0.5)}
    (finding,) = check_cases({"training": [item]}, head_size=heads)
    assert (finding.severity, finding.fault) == ("warning", "no head like those of the shipped weights")
    assert check_cases({"training": [item]}) == []


@pytest.mark.parametrize(
    ("millimetres", "shown"), [(0.002, "0.04 x 0.04 x 0.04 mm"), (0.0499, "0.998 x 0.998"), (151, "3020 x 3020 x 3020")]
)
@pytest.mark.parametrize("name", ["mr.nii.gz", "mr.nrrd"])
def test_what_no_scanner_makes_is_refused_whatever_is_trained(
    tmp_path: Path, millimetres: float, shown: str, name: str
) -> None:
    path = tmp_path / name
    if name == "mr.nrrd":
        itk = pytest.importorskip("SimpleITK")
        image = itk.Image(20, 20, 20, itk.sitkInt16)
        image.SetSpacing([millimetres] * 3)
        itk.WriteImage(image, str(path))
    else:
        scan(path, *[millimetres] * 3)
    with pytest.raises(VolumeError, match=rf"a \({name}\): no scan has this size \({shown}.*\); check the unit of"):
        VolumeReader().check(path, "a")
    assert VolumeReader().extent(path, "a") is None, "reading says why, and not the estimate of its memory"


@pytest.mark.parametrize("sides", [(0.05, 0.05, 0.05), (150, 150, 150), (150, 0.01, 0.01)])
def test_the_longest_side_counts(tmp_path: Path, sides: tuple[float, float, float]) -> None:
    assert VolumeReader().check(scan(tmp_path / "mr.nii", *sides), "a").values.shape == (20, 20, 20)
