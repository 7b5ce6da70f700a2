"""``synthesize simulate``: pairs on the grid of the MR, thick scans on thin slices, refusals, no names."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from named_volumes import write_named

from common.simulation.corruptions.motion import HeadMotion
from common.simulation.corruptions.noise import RicianNoise
from common.simulation.corruptions.slices import ThickSlices
from common.simulation.corruptions.undersampling import Undersampled
from medical_image_synthesis.command import main as synthesize

RAS = np.array([[2.0, 0, 0, -60], [0, 2, 0, -50], [0, 0, 3, 20], [0, 0, 0, 1]])


def head() -> np.ndarray:
    x, y, z = np.ogrid[-16:16, -12:12, -4:4]
    return np.where((x / 12) ** 2 + (y / 9) ** 2 < 1, 400.0, 0.0) * (1 + 0.1 * (z % 3))


def write(path: Path, volume: np.ndarray, axcodes: str = "RAS") -> None:
    write_named(path, volume, RAS, axcodes)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "one" / "mr.nii.gz", head())
    for name in ("mr", "mask", "lesion"):
        write(tmp_path / "data" / "two" / f"{name}.nii.gz", head() if name == "mr" else head() > 0, "SPL")
    return tmp_path / "data"


def run(data: Path, kind: str, *options: str) -> tuple[int, Path]:
    out = data.parent / "pairs"
    return synthesize(["simulate", kind, "--dataset_dir", str(data), "--out", str(out), *options]), out


@pytest.mark.parametrize(
    ("kind", "options", "degradation", "name", "says"),
    [
        ("undersample", ["--acceleration", "3"], Undersampled(acceleration=3), "zero_filled", "SIMULATED MR, 3 times"),
        ("thicken", ["--thickness", "6"], ThickSlices(6), "thick", "SIMULATED MR of 6 mm"),
        ("noise", ["--level", "0.2"], RicianNoise(0.2), "noisy", "SIMULATED MR with Rician noise of 0.2"),
        ("motion", ["--distance_mm", "9"], HeadMotion(9), "moved", "SIMULATED MR with 2 movements of 9 mm, 2 degrees"),
    ],
)
def test_pairs_on_the_grid_of_the_mr_whatever_its_axes(data, kind, options, degradation, name, says):
    code, pairs = run(data, kind, "--seed", "3", *options)
    assert code == 0
    assert sorted(path.name for path in (pairs / "one").iterdir()) == [
        "degraded.json",
        *sorted(["mr.nii.gz", f"{name}.nii.gz"]),
    ]
    for each in ("mr", "mask", "lesion", name):
        source, made = nib.load(data / "two" / "mr.nii.gz"), nib.load(pairs / "two" / f"{each}.nii.gz")
        np.testing.assert_array_equal(made.affine, source.affine)
        assert b"DOE" not in made.header.binaryblock
    assert made.header["descrip"].item().decode().startswith(says)
    turned = nib.as_closest_canonical(made).get_fdata(dtype=np.float32)
    expected = degradation(head().astype(np.int16), (2, 2, 3), np.random.default_rng([3, *b"two"]))
    np.testing.assert_allclose(turned, expected, atol=1e-3)
    assert np.abs(turned - head()).max() > 10
    record = json.loads((pairs / "two" / "degraded.json").read_text())
    assert record["seed"] == 3
    assert str(record[options[0].strip("-")]) == str(float(options[1]))


def test_a_thick_scan_is_interpolated_onto_thin_slices(data, capsys):
    code, out = run(data, "interpolate", "--slice", "1")
    assert code == 0
    for case in ("one", "two"):
        thin, thick = nib.load(out / case / "thick.nii.gz"), nib.load(data / case / "mr.nii.gz")
        thin, thick = nib.as_closest_canonical(thin), nib.as_closest_canonical(thick)
        assert thin.shape == (32, 24, 22)
        np.testing.assert_allclose(thin.header.get_zooms(), (2, 2, 1), rtol=1e-6)
        np.testing.assert_allclose(thin.affine[:3, 3], thick.affine[:3, 3])
        np.testing.assert_allclose(thin.get_fdata()[..., ::3], thick.get_fdata(), atol=1e-3)
        assert sorted(path.name for path in (out / case).iterdir()) == ["degraded.json", "thick.nii.gz"]
    assert thin.header["descrip"].item().startswith(b"INTERPOLATED MR: slices 3 mm apart at 1 mm")
    assert run(data, "interpolate", "--slice", "3", "--overwrite")[0] == 2
    assert "has 8 axial slices 3 mm apart, not two or more over 3 mm: lower --slice" in capsys.readouterr().err


def test_a_ct_is_thickened_and_interpolated_in_hu_without_the_bundle_of_mr(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("medical_image_synthesis.simulating.bundle_named", None)
    data = tmp_path / "scans"
    z = np.arange(12) % 4 // 2  # two slices of water, two of bone, in air
    body = np.where(head()[..., :1] > 0, 1000.0 * z, -1000.0)
    write(data / "one" / "ct.nii.gz", body, "SPL")
    code, pairs = run(data, "thicken", "--ct", "ct", "--thickness", "6", "--profile", "box")
    assert code == 0
    assert sorted(path.name for path in (pairs / "one").iterdir()) == ["degraded.json", "ndct.nii.gz", "thick.nii.gz"]
    thick, given = (nib.as_closest_canonical(nib.load(pairs / "one" / f"{name}.nii.gz")) for name in ("thick", "ndct"))
    np.testing.assert_array_equal(given.get_fdata(), body)
    assert thick.header["descrip"].item().startswith(b"SIMULATED CT of 6 mm slices")
    middle = thick.get_fdata()[16, 12]
    assert (middle[0], middle[-1]) == (0, 1000)  # the first thick slice is water, the last one bone
    assert run(data, "thicken", "--ct", "ct", "--thickness", "2", "--overwrite")[0] == 2
    assert "slices are 3 mm apart, not closer than --thickness 2 mm: raise --thickness" in capsys.readouterr().err
    assert run(data, "interpolate", "--ct", "ct", "--slice", "1", "--overwrite")[0] == 0
    assert nib.load(pairs / "one" / "thick.nii.gz").header["descrip"].item().startswith(b"INTERPOLATED CT: slices 3 mm")


def test_cases_are_replaced_on_request_and_nothing_else_is(data, capsys):
    _, pairs = run(data, "noise")
    assert run(data, "noise")[0] == 2
    assert "pass --overwrite or another --out" in capsys.readouterr().err
    assert run(data, "thicken", "--thickness", "6", "--overwrite")[0] == 0
    assert json.loads((pairs / "two" / "degraded.json").read_text())["thickness"] == 6
    (pairs / "two" / "notes.txt").write_text("mine")
    assert run(data, "noise", "--overwrite")[0] == 2
    assert (pairs / "two" / "notes.txt").read_text() == "mine"
    assert synthesize(["simulate", "noise", "--dataset_dir", str(data), "--out", str(data), "--overwrite"]) == 2
    assert sorted(path.name for path in (data / "one").iterdir()) == ["mr.nii.gz"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("undersample", ["--seed", "-1"], "--seed is -1, below 0"),
        ("thicken", ["--mr", "t2"], "t2.nii.gz"),
    ],
)
def test_wrong_options_end_the_command_before_anything_is_written(data, capsys, kind, options, message):
    code, pairs = run(data, kind, *options)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not pairs.exists()
