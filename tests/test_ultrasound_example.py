"""Ultrasound example: mappings by hand, focus and files of planners, and k-Wave against known answers where it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from examples.ultrasound import __main__ as command
from examples.ultrasound import environment
from examples.ultrasound.field import PML, Beam, amplitude, beam_to, bowl, sampled, steps_of_period
from examples.ultrasound.focus import brain_of, compared, focus_of
from examples.ultrasound.medium import NEPER, WATER, Medium, medium, water
from examples.ultrasound.planners import write_for_planners

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("ULTRASOUND_PYTHON", ROOT / "build" / "ultrasound-venv" / "bin" / "python"))
needs_kwave = pytest.mark.skipif(find_spec("kwave") is None, reason="no k-wave-python, see examples/ultrasound")
LAYER = (2600.0, 1850.0)
"""Speed and density of a plate of bone."""


def layer_transmission(medium: tuple[float, float, float], thickness: float, frequency: float) -> float:
    """Amplitude behind a plane layer in water over that before it, at normal incidence (Brekhovskikh 1980).

    Args:
        medium: speed in m/s, density in kg/m3 and attenuation in dB/cm of the layer.
        thickness: in mm.
        frequency: in Hz.
    """
    speed, density, loss = medium
    wave = 2 * np.pi * frequency / speed - 1j * loss * 100 / NEPER
    ratio = density * 2 * np.pi * frequency / wave / (WATER[0] * WATER[1])
    phase = wave * thickness * 1e-3
    return float(1 / abs(np.cos(phase) + 0.5j * (ratio + 1 / ratio) * np.sin(phase)))


def test_marsac_maps_hu_by_lines_and_the_root_of_porosity() -> None:
    own = medium(np.array([-1000.0, 299, 300, 1150, 2000, 3000]), "marsac", 5e5)
    assert own.speed.tolist() == [1500, 1500, 1740, 2420, 3100, 3100]  # 1500 + 1600 x 0.15, x 0.575
    assert own.density == pytest.approx([1000, 1000, 1135, 1517.5, 1900, 1900])
    assert own.loss == pytest.approx([0, 0, 8.7, 4 + 4.7 * np.sqrt(0.5), 4, 4])
    assert medium(np.array([2000.0]), "marsac", 2.5e5).loss == pytest.approx([4 * 0.5**1.43])


def test_kplan_maps_hu_by_schneiders_density() -> None:
    own = medium(np.array([0.0, 300, 1000, 3000]), "kplan", 5e5)
    density = 0.6625370912451 * 2000 + 348.8555178455294
    assert own.density == pytest.approx([1000, 0.6625370912451 * 1300 + 348.8555178455294, density, 2100])
    assert own.speed == pytest.approx([1500, 1.33 * 1210.1537 + 167, 1.33 * density + 167, 1.33 * 2100 + 167])
    assert own.loss == pytest.approx([0, 6.65, 6.65, 6.65])


def test_an_unknown_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="--mapping is 'aubry': choose"):
        medium(np.zeros(3), "aubry", 5e5)


def test_a_layer_of_half_a_wave_lets_everything_pass_and_one_of_a_quarter_least() -> None:
    ratio = LAYER[0] * LAYER[1] / 1.5e6
    assert layer_transmission((*LAYER, 0.0), 5.2 / 2, 5e5) == pytest.approx(1)
    assert layer_transmission((*LAYER, 0.0), 5.2 / 4, 5e5) == pytest.approx(2 / (ratio + 1 / ratio))
    assert layer_transmission((1500.0, 1000.0, 6.0), 10, 5e5) == pytest.approx(10 ** (-6 / 20), rel=1e-3)


def test_a_beam_enters_at_the_nearest_scalp_above_and_its_grid_lies_on_the_axis() -> None:
    mask = np.zeros((60, 60, 60), bool)
    mask[10:50, 5:55, 5:55] = True
    affine = np.diag([-2.0, 2, 2, 1])
    beam = beam_to(np.array([-80.0, 60, 60]), mask, affine)
    assert beam.entry.tolist() == [-98, 60, 60]  # voxel 49
    assert (beam.radius, beam.aperture) == (33, pytest.approx(26.4))
    for dimensions in (2, 3):
        shape, grid = beam.grid(1.5, dimensions)
        middle = [PML + (3 + 33) / 1.5, *(size // 2 for size in shape[1:]), 0][:3]
        assert grid @ [*middle, 1] == pytest.approx([-80, 60, 60, 1])
        assert np.linalg.norm(grid[:3, :3], axis=0) == pytest.approx([1.5] * 3)
        ct = np.where(mask, 0.0, -1000.0)
        along = sampled(ct, affine, shape, grid).reshape(shape[0], shape[1], -1)[
            :, shape[1] // 2, -1 if dimensions == 2 else shape[2] // 2
        ]
        first = PML + (3 + 15) / 1.5  # the scalp
        assert along[int(first) - 2] == -1000
        assert along[int(first) + 2] == 0
    with pytest.raises(DataError, match=r"target \[-10.0, 60.0, 60.0\] mm lies outside the head"):
        beam_to(np.array([-10.0, 60, 60]), mask, affine)


def test_a_focus_is_found_between_points_behind_the_bone_alone() -> None:
    hu = np.zeros((60, 40), np.float32)
    hu[20:24] = 1000
    brain = brain_of(hu, 1.0)
    assert not brain[:27].any()
    assert brain[27 : 60 - PML, PML:-PML].all()
    x, y = np.meshgrid(np.arange(60), np.arange(40), indexing="ij")
    field = (4 * np.exp(-((x - 35.25) ** 2 + (y - 20) ** 2) / 50) + 9 * np.exp(-((x - 10) ** 2) / 4)).astype(np.float32)
    found = focus_of(field, brain)
    assert found.place == pytest.approx([35.25, 20], abs=0.01)
    assert found.pressure == pytest.approx(4, rel=0.01)
    assert found.volume.sum() == pytest.approx(np.pi * 50 * np.log(2), rel=0.1)
    weaker = focus_of(np.roll(0.5 * field, 3, axis=1), brain)
    measures = compared(weaker, found, found, 1.2)
    assert measures["pressure_error"] == pytest.approx(-50)
    assert measures["shift"] == pytest.approx(3.6, abs=0.01)
    assert measures["insertion_loss"] == pytest.approx(20 * np.log10(2))
    assert 0.6 < measures["overlap"] < 0.8
    with pytest.raises(DataError, match="the beam meets no skull"):
        brain_of(np.zeros((60, 40), np.float32), 1.0)


def test_without_kwave_the_command_says_so_before_it_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    assert command.main(["--real", "a.nii", "--synthetic", "b.nii", "--targets", "c.json"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: no package k-wave-python, which examples.ultrasound needs: pip install")


@pytest.mark.parametrize(
    ("targets", "words", "message"),
    [
        ("{", [], r"targets\.json has no targets \(Expecting .*: write"),
        ('{"a": [1, 2]}', [], r"targets\.json has no targets \(cannot reshape .*: write"),
        ("[1]", [], r"targets\.json has no targets \(.*: write"),
        ("{}", ["--frequency", "0"], "--frequency is 0: pass a finite number above 0"),
    ],
)
def test_targets_and_numbers_that_cannot_be_used_are_one_line(
    targets: str, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(command, "require_environment", lambda: None)
    (tmp_path / "targets.json").write_text(targets)
    given = ["--real", "a.nii", "--synthetic", "b.nii", "--targets", str(tmp_path / "targets.json"), *words]
    assert command.main(given) == 2
    assert re.match(f"error: {message}", capsys.readouterr().err)


@needs_kwave
def test_kwave_is_imported_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    own = environment.kwave("kgrid")
    assert own.kWaveGrid.__module__ == "kwave.kgrid"
    package = Path(own.__file__).parent
    assert not [path for path in (package / "bin").rglob("*") if path.is_file()]


@needs_kwave
@pytest.mark.parametrize(("thickness", "loss"), [(4.0, 0.0), (6.5, 0.0), (4.0, 6.0), (6.5, 6.0)])
def test_a_plane_layer_lets_pass_what_theory_says(thickness: float, loss: float) -> None:
    spacing, plain = 0.25, water((400,))
    inside = slice(150, 150 + int(thickness / spacing))
    speed, density, lost = plain.speed.copy(), plain.density.copy(), plain.loss.copy()
    speed[inside], density[inside], lost[inside] = *LAYER, loss
    source = np.zeros(400, np.float32)
    source[20] = 1
    through, free = (amplitude(each, source, spacing, 5e5) for each in (Medium(speed, density, lost), plain))
    assert free[50:350] == pytest.approx(np.ones(300), abs=0.01)
    expected = layer_transmission((*LAYER, loss), thickness, 5e5)
    assert through[300] / free[300] == pytest.approx(expected, rel=0.012)


@needs_kwave
@pytest.mark.slow
def test_a_bowl_in_water_focuses_where_and_as_oneil_has_it() -> None:
    """Radius 40 mm, aperture 32 mm, 250 kHz, 6 points of a wave."""
    beam = Beam(np.zeros(3), np.array([0.0, 0, 25]))
    shape, affine = beam.grid(1.0, 3)
    source = bowl(beam, shape, affine, 1.0)
    half = np.arcsin(beam.aperture / 2 / beam.radius)
    assert source.sum() == pytest.approx(2 * np.pi * 40**2 * (1 - np.cos(half)), rel=0.01)
    field = amplitude(water(shape), source, 1.0, 2.5e5)
    axis = field[PML + 13 : -PML, shape[1] // 2, shape[2] // 2]
    depths = np.arange(10.0, 10 + len(axis))
    height = 40 * (1 - np.cos(half))
    edge = np.sqrt((depths - height) ** 2 + (beam.aperture / 2) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        oneil = np.abs(2 / (1 - depths / 40) * np.sin(np.pi / 6 * (edge - depths)))
    oneil[depths == 40] = 2 * np.pi / 6 * height
    assert abs(depths[axis.argmax()] - depths[oneil.argmax()]) <= 1
    assert axis.max() == pytest.approx(oneil.max(), rel=0.03)


@needs_kwave
def test_steps_are_as_many_as_stability_asks() -> None:
    own = water((40, 40, 40))
    assert steps_of_period(own, 1.0, 2.5e5) == 14  # 1500 / (0.45 x 250 kHz x 1 mm)
    own.loss[20] = 20
    assert steps_of_period(own, 1.0, 2.5e5) > 14


def test_the_files_of_planners_keep_place_unit_and_orientation(tmp_path: Path) -> None:
    """A CT stored towards left, posterior, superior in voxels of 2 mm, with one block of bone at a known place."""
    affine = np.array([[-2.0, 0, 0, 60], [0, -2, 0, 70], [0, 0, 2, -40], [0, 0, 0, 1]])
    ct = np.full((50, 60, 40), -1000, np.int16)
    ct[5:45, 5:55, 5:35] = 30
    ct[10:20, 30:36, 20:24] = 1200
    nib.save(nib.Nifti1Image(ct, affine), tmp_path / "ct.nii.gz")
    (tmp_path / "ct.json").write_text(json.dumps({"WeightsSha256": "ab", "Quality": {"verdict": "warn"}}))
    write_for_planners(tmp_path / "ct.nii.gz", tmp_path / "out")
    whole, skull = (nib.load(tmp_path / "out" / f"{name}.nii.gz") for name in ("pseudoCT", "skull"))
    for image, size in ((whole, 1.0), (skull, 0.5)):
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.header.get_zooms() == pytest.approx((size,) * 3)
        assert image.get_data_dtype() == np.int16
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.get_sform() == pytest.approx(image.get_qform(), abs=1e-4)
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    middle = affine @ [14.5, 32.5, 21.5, 1]
    for image, air in ((whole, -1000), (skull, 0)):
        values = np.asarray(image.dataobj)
        assert values[tuple(np.rint(np.linalg.inv(image.affine) @ middle).astype(int)[:3])] == 1200
        bone = np.argwhere(values > 600)
        assert image.affine @ [*bone.mean(0), 1] == pytest.approx(middle, abs=0.6)
        assert values.min() == air
    assert [side < 40 for side in np.array(skull.shape) * 0.5] == [True, True, True]
    described = json.loads((tmp_path / "out" / "pseudo_ct.json").read_text())
    assert (described["verdict"], described["unit"], described["weights_sha256"]) == ("warn", "HU", "ab")
    assert described["pseudoCT"]["resampled"] is True


def test_a_ct_of_1_mm_is_not_resampled_and_a_refused_one_not_written(tmp_path: Path) -> None:
    ct = np.random.default_rng(0).integers(-1000, 1500, (9, 8, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(ct, np.eye(4)), tmp_path / "ct.nii")
    write_for_planners(tmp_path / "ct.nii", tmp_path / "out")
    assert (np.asarray(nib.load(tmp_path / "out" / "pseudoCT.nii.gz").dataobj) == ct).all()
    (tmp_path / "ct.json").write_text(json.dumps({"Quality": {"verdict": "refuse"}}))
    with pytest.raises(DataError, match="ct.nii has the verdict refuse"):
        write_for_planners(tmp_path / "ct.nii", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


@pytest.mark.slow
def test_the_command_compares_a_head_with_one_of_a_thinner_skull(tmp_path: Path) -> None:
    """In its own environment: the same CT gives no error, a thinner skull more pressure; water most."""
    if not PYTHON.is_file():
        pytest.skip(f"no environment with k-Wave at {PYTHON}")
    radius = np.linalg.norm(np.moveaxis(np.indices((100,) * 3), 0, -1) * 1.6 - 80, axis=-1)
    for name, inner in (("real", 62), ("thin", 65)):
        ct = np.where(radius < 74, np.where((radius > inner) & (radius < 68), 1000, 30), -1000)
        nib.save(nib.Nifti1Image(ct.astype(np.int16), np.diag([1.6, 1.6, 1.6, 1])), tmp_path / f"{name}.nii.gz")
    (tmp_path / "targets.json").write_text('{"middle": [80, 80, 110]}')
    words = ["--real", "real.nii.gz", "--synthetic", "thin.nii.gz", "--line", "real.nii.gz", "--dimensions", "2"]
    own = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    step = [str(PYTHON), "-W", "ignore", "-m", "examples.ultrasound", "--targets", "targets.json", *words]
    done = subprocess.run(step, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    import pandas as pd

    rows = pd.read_csv(tmp_path / "ultrasound" / "ultrasound.csv").set_index("through")
    assert list(rows.index) == ["water", "real", "synthetic", "line"]
    assert rows.loc["line", ["pressure_error", "shift"]].tolist() == [0, 0]
    assert rows.loc["water", "pressure"] > rows.loc["synthetic", "pressure"] > rows.loc["real", "pressure"]
    assert rows.loc["water", "insertion_loss"] == 0
    assert (tmp_path / "ultrasound" / "middle.png").is_file()
