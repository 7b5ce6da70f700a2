"""The dose example: its measures, cases and refusals without pyRadPlan, and its doses where an environment has it."""

from __future__ import annotations

import csv
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from common.errors import ConfigError, DataError
from common.io import VolumeReader
from examples.dose import __main__ as command
from examples.dose import environment
from examples.dose.measures import compare, coverage, dose_mae, near_minimum
from examples.dose.volumes import Case, Sphere, find_cases, load, sphere_in

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("DOSE_PYTHON", ROOT / "build" / "dose-venv" / "bin" / "python"))
TURN = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
"""Axes of a volume stored towards superior, left, posterior: nothing is where RAS has it."""


def box(shape: tuple[int, int, int] = (12, 10, 8), wall: int = 2) -> np.ndarray:
    """Water in air, HU."""
    ct = np.full(shape, -1000.0, np.float32)
    ct[wall:-wall, wall:-wall, wall:-wall] = 0
    return ct


def stored(path: Path, volume: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume.astype(np.float32), np.diag([2.0, 2, 2, 1]) if affine is None else affine), path)
    return path


def case_of(folder: Path, real: np.ndarray, synthetic: np.ndarray, **masks: np.ndarray) -> Case:
    paths = {name: stored(folder / f"{name}.nii.gz", mask) for name, mask in masks.items()}
    return Case("one", stored(folder / "real.nii.gz", real), stored(folder / "sct.nii.gz", synthetic), **paths)


def test_mae_counts_voxels_with_nine_tenths_of_the_prescription() -> None:
    real = np.array([2.0, 1.8, 1.79, 0.5])
    synthetic = np.array([1.9, 2.0, 0.0, 0.0])
    assert dose_mae(real, synthetic, 2.0) == pytest.approx(100 * (0.1 + 0.2) / 2 / 2)


def test_a_plan_that_missed_its_prescription_has_no_mae() -> None:
    with pytest.raises(DataError, match=r"dose on the real CT is 1.7 Gy at most, below 90% of the 2 Gy prescribed"):
        dose_mae(np.array([1.7]), np.array([2.0]), 2.0)


def test_d98_and_v95_of_a_hundred_voxels() -> None:
    dose = np.append(np.arange(1.0, 102), 500.0)  # 1 to 101 Gy in the target, 500 Gy outside it
    target = dose < 500
    assert near_minimum(dose, target) == pytest.approx(3)
    assert coverage(dose, target, 100.0) == pytest.approx(100 * 7 / 101)  # 95 to 101 Gy


def test_errors_are_relative_to_the_real_ct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.dose.measures.gamma_pass_rate", lambda *_: 50.0)
    real, synthetic = np.full((2, 2, 2), 2.0), np.full((2, 2, 2), 1.8)
    found = compare(real, synthetic, np.ones((2, 2, 2), bool), (1, 1, 1), 2.0)
    assert (found["dose_mae"], found["d98_error"]) == pytest.approx((10, 10))
    assert (found["v95"], found["v95_synthetic"], found["v95_error"], found["gamma"]) == (100, 0, 100, 50)


def test_cases_of_folders_are_paired_by_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        stored(tmp_path / "real" / name / "ct.nii.gz", box())
        stored(tmp_path / "made" / f"{name}_synthetic_ct.nii.gz", box())
    cases = find_cases(tmp_path / "real", tmp_path / "made", None, None, {"real": "ct"})
    assert [(case.name, case.real.parent.name, case.synthetic.name) for case in cases] == [
        ("a", "a", "a_synthetic_ct.nii.gz"),
        ("b", "b", "b_synthetic_ct.nii.gz"),
    ]
    (tmp_path / "made" / "b_synthetic_ct.nii.gz").rename(tmp_path / "made" / "c_synthetic_ct.nii.gz")
    with pytest.raises(DataError, match=r"--real and --synthetic hold different cases \(b, c in one of them\)"):
        find_cases(tmp_path / "real", tmp_path / "made", None, None, {"real": "ct"})


def test_volumes_are_turned_towards_left_posterior_superior_and_back(tmp_path: Path) -> None:
    ct = box((9, 12, 10))
    ct[3, 4, 5] = 77
    affine = np.eye(4)
    affine[:3, :3] = TURN @ np.diag([1, 2, 3])
    affine[:3, 3] = 10, 20, 30
    path = stored(tmp_path / "ct.nii.gz", ct, affine)
    found = load(Case("one", path, path), VolumeReader(), Sphere(3.0))
    assert found.spacing == (2, 3, 1)
    assert found.real.shape == (12, 10, 9)
    assert found.real[4, 5, 3] == 77
    assert np.array_equal(found.as_stored(found.real), ct)
    assert np.array_equal(found.body, found.real > -500)


def test_the_sphere_lies_where_its_millimetres_say() -> None:
    affine = np.diag([-2.0, -2, 2, 1])
    affine[:3, 3] = 100, 0, 0
    found = sphere_in(np.ones((8, 8, 8), bool), affine, Sphere(2.0, (94.0, -8, 6)))
    assert np.argwhere(found).mean(axis=0).tolist() == [3, 4, 3]
    assert found.sum() == 7  # the centre and its neighbours


REFUSED = {
    "synthetic has shape .*, the real CT shape": (box(), box((12, 10, 9)), {}, 2.0),
    "synthetic has values from -1 to 0, no CT in HU with air below -200": (box(), box() / 1000, {}, 2.0),
    "target has no voxels": (box(), box(), {"target": np.zeros((12, 10, 8))}, 2.0),
    "target has .* voxels outside the body": (box(), box(), {}, 9.0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_volumes_that_no_plan_can_use_are_refused(message: str, tmp_path: Path) -> None:
    real, synthetic, masks, radius = REFUSED[message]
    with pytest.raises(DataError, match=f"one: {message}"):
        load(case_of(tmp_path, real, synthetic, **masks), VolumeReader(), Sphere(radius))


def test_without_its_environment_the_command_says_so_before_it_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == "pyRadPlan" else find_spec("sys"))
    assert command.main(["--real", str(tmp_path / "none"), "--synthetic", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: no package pyRadPlan, which examples.dose needs: ")
    assert line.endswith("make an environment by the commands of examples/dose/README.md")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dose_spacing", "0.5"], "--dose_spacing is 0.5 mm, outside 1 to 5"),
        (["--prescription", "nan"], "--prescription is nan: pass a finite number above 0"),
        (["--radius", "0"], "--radius is 0 mm, not above 0"),
        ([], "already holds dose.csv: add --overwrite"),
    ],
)
def test_options_out_of_range_are_refused(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "require_environment", lambda: None)
    (tmp_path / "dose.csv").touch()
    assert command.main(["--real", "a.nii", "--synthetic", "b.nii", "--out", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err


def test_the_error_is_one_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="no package pyRadPlan, pymedphys, SimpleITK"):
        environment.require_environment()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A module of the example in its own environment."""
    if not PYTHON.is_file():
        pytest.skip(f"no environment with pyRadPlan at {PYTHON}: make dose-test installs it")
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = [str(PYTHON), "-W", "ignore", "-m", *words]
    return subprocess.run(done, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, timeout=850)


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["photons", "protons"])
def test_dose_in_water_is_what_the_water_in_front_of_it_says(modality: str) -> None:
    done = run("examples.dose.checks", "--modality", modality)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("ok ") == 8


@pytest.mark.slow
def test_the_dose_lies_in_the_target_whatever_the_axes_of_the_file(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 3 * TURN
    affine[:3, 3] = 10, 200, -30
    ct = box((24, 26, 28), 3)
    centre = apply_affine(affine, (11, 13, 15))
    path = stored(tmp_path / "ct.nii.gz", ct, affine)
    words = ["--real", str(path), "--synthetic", str(path), "--radius", "10", "--out", str(tmp_path / "out")]
    words += ["--centre", *(f"{place:g}" for place in centre), "--dose_spacing", "3", "--gantry", "0", "90"]
    done = run("examples.dose", *words, "--modality", "protons")
    assert done.returncode == 0, done.stderr[-2000:]
    with (tmp_path / "out" / "dose.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (float(row["dose_mae"]), float(row["gamma"])) == (0, 100)
    assert float(row["v95"]) > 90
    dose = nib.load(tmp_path / "out" / "ct_protons_real.nii.gz")
    assert np.allclose(dose.affine, affine)
    high = apply_affine(affine, np.argwhere(dose.get_fdata() > 1.8))
    assert np.linalg.norm(high.mean(axis=0) - centre) < 2
    # gantry 0 comes from in front, 90 from the left: dose on those sides of the body, 28 mm away, and none opposite
    low = apply_affine(affine, np.argwhere(dose.get_fdata() > 0.5)) - centre
    assert low[:, 0].min() < -25
    assert low[:, 0].max() < 25
    assert low[:, 1].max() > 25
    assert low[:, 1].min() > -25
