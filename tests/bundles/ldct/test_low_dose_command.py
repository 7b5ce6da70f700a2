"""``synthesize simulate low-dose``: pairs on the grid of the CT, refusals, and nothing of the headers."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import PATIENT, Grid, write_series
from named_volumes import write_named

from common.simulation.corruptions.low_dose import LowDose
from medical_image_synthesis.command import main as synthesize

RAS = np.array([[4.0, 0, 0, -60], [0, 4, 0, -50], [0, 0, 5, 20], [0, 0, 0, 1]])
OPTIONS = ["--dose", "0.25", "--photons", "1e5", "--views", "60"]


def body() -> np.ndarray:
    """Water with a spine in air, (32, 30, 3)."""
    x, y = np.ogrid[-16:16, -15:15]
    axial = np.where((x / 12) ** 2 + (y / 9) ** 2 < 1, 0.0, -1000.0)
    axial[14:18, 8:12] = 700
    return np.repeat(axial[..., None], 3, 2)


def write(path: Path, volume: np.ndarray, axcodes: str = "RAS") -> None:
    write_named(path, volume, RAS, axcodes)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "one" / "ct.nii.gz", body())
    for name in ("ct", "mask", "lesion"):
        write(tmp_path / "data" / "two" / f"{name}.nii.gz", body() if name == "ct" else body() > -500, "SPL")
    return tmp_path / "data"


def run(data: Path, *options: str) -> tuple[int, Path]:
    out = data.parent / "pairs"
    words = ["simulate", "low-dose", "--dataset_dir", str(data), "--out", str(out), *OPTIONS, *options]
    return synthesize(words), out


def test_pairs_on_the_grid_of_the_ct(data):
    code, pairs = run(data, "--seed", "3")
    assert code == 0
    assert sorted(path.name for path in (pairs / "one").iterdir()) == ["ldct.nii.gz", "low_dose.json", "ndct.nii.gz"]
    for case, names in (("one", ("ldct", "ndct")), ("two", ("ldct", "ndct", "mask", "lesion"))):
        source = nib.load(data / case / "ct.nii.gz")
        for name in names:
            made = nib.load(pairs / case / f"{name}.nii.gz")
            np.testing.assert_array_equal(made.affine, source.affine)
            assert b"DOE" not in made.header.binaryblock
        np.testing.assert_array_equal(nib.load(pairs / case / "ndct.nii.gz").get_fdata(), source.get_fdata())
    np.testing.assert_array_equal(
        nib.load(pairs / "two" / "mask.nii.gz").get_fdata(), nib.load(data / "two" / "mask.nii.gz").get_fdata()
    )
    assert nib.load(pairs / "one" / "ldct.nii.gz").header["descrip"].item().startswith(b"SIMULATED CT at 0.25")
    record = json.loads((pairs / "one" / "low_dose.json").read_text())
    assert {key: record[key] for key in ("dose", "photons", "views", "kernel", "bow_tie", "seed")} == {
        "dose": 0.25, "photons": 1e5, "views": 60, "kernel": "soft", "bow_tie": None, "seed": 3,
    }  # fmt: skip


def test_noise_is_drawn_in_axial_slices_whatever_the_axes(data):
    _, pairs = run(data)
    turned = nib.as_closest_canonical(nib.load(pairs / "two" / "ldct.nii.gz")).get_fdata(dtype=np.float32)
    rng = np.random.default_rng([0, *b"two"])
    expected = LowDose(0.25, photons=1e5, views=60)(body().astype(np.float32), (4, 4, 5), rng)
    np.testing.assert_allclose(turned, expected, atol=1e-3)
    assert np.abs(expected - body()).max() > 10


def test_of_a_dicom_series_the_grid_is_kept_and_no_name(tmp_path):
    grid = Grid((32, 30, 3), (4.0, 4.0, 5.0))
    write_series(tmp_path / "data" / "one" / "ct", grid, slope=1, values=body())
    assert run(tmp_path / "data")[0] == 0
    low, full = (nib.load(tmp_path / "pairs" / "one" / f"{name}.nii.gz") for name in ("ldct", "ndct"))
    np.testing.assert_allclose(full.affine, grid.affine, atol=1e-5)
    np.testing.assert_array_equal(full.get_fdata(), body())
    assert 1 < (low.get_fdata() - body())[body() == 0].std() < 10
    written = low.header.binaryblock + (tmp_path / "pairs" / "one" / "low_dose.json").read_bytes()
    assert not [value for value in PATIENT.values() if value.encode() in written]
