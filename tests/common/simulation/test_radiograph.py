"""Radiographs against lengths by hand: a cube, a sphere, any axes of the voxels, and the files of the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from named_volumes import write_named
from nibabel.affines import apply_affine

from common.errors import ConfigError
from common.io import VolumeReader
from common.io.picture_files import read_picture
from common.simulation.radiograph import RadiographBeam
from medical_image_synthesis import simulate
from medical_image_synthesis.command import main as synthesize

WATER_60 = 0.02059
"""Of water at 60 keV in 1/mm."""
SIDE = 60.0


def cube(spacing: tuple[float, float, float] = (1, 1, 1), side: float = SIDE) -> np.ndarray:
    """Water of ``side`` mm in air of 100 mm."""
    axes = [(np.arange(round(100 / size)) - (round(100 / size) - 1) / 2) * size for size in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.where(np.maximum.reduce([abs(x), abs(y), abs(z)]) < side / 2, 0.0, -1000.0).astype(np.float32)


def view(hu: np.ndarray, affine: np.ndarray, **settings: object) -> np.ndarray:
    """The only view, (columns, rows)."""
    beam = RadiographBeam(**{"angles": (0.0,), "detector": (201, 201), "pixel_mm": 1.0, "energy": 60.0, **settings})  # type: ignore[arg-type]
    return beam.views(hu, affine)[0][0][..., 0]


def test_path_lengths_and_magnification_of_a_cube() -> None:
    lengths = view(cube(), np.eye(4)) / WATER_60
    assert lengths[100, 100] == pytest.approx(SIDE, abs=0.05)
    # A ray of slope 30 / 1500 and 40 / 1500 leaves by the far face: at 1030 mm it is 20.6 and 27.5 mm off the axis.
    assert lengths[130, 60] == pytest.approx(SIDE * math.sqrt(1 + (30**2 + 40**2) / 1500**2), abs=0.05)
    # From 100 mm, a ray that ends 60 mm off after 200 mm enters by the near face, 70 mm away, and leaves the side,
    # 30 mm off, after 100 mm.
    close = view(cube(), np.eye(4), source_to_axis=100.0, source_to_detector=200.0) / WATER_60
    assert close[160, 100] == pytest.approx((100 - 70) * math.hypot(1, 60 / 200), abs=0.05)
    # The near face's edge is at 30 * 1500 / 970 = 46.4 mm on the detector, so that half a voxel more sees nothing.
    assert lengths[148, 100] == pytest.approx(0, abs=0.05)
    closer = view(cube(), np.eye(4), source_to_axis=500.0)[:, 100] > 0.5 * WATER_60 * SIDE
    assert closer.sum() == pytest.approx(SIDE * 1500 / 500, abs=2)


def test_a_sphere_has_its_chords_from_every_side() -> None:
    grid = np.indices((80, 80, 80)) - 39.5
    hu = np.where(np.linalg.norm(grid, axis=0) < 30, 0.0, -1000.0)
    for angle in (0.0, 37.0):
        lengths = view(hu, np.eye(4), angles=(angle,)) / WATER_60
        for u, v in ((0, 0), (15, 0), (0, -25), (20, 20)):
            tangent = math.hypot(u, v) / 1500
            distance = 1000 * tangent / math.hypot(1, tangent)
            assert lengths[100 + u, 100 + v] == pytest.approx(2 * math.sqrt(30**2 - distance**2), rel=0.02)


@pytest.mark.parametrize("kind", ["flipped", "permuted", "anisotropic", "oblique"])
def test_the_affine_places_the_volume(kind: str) -> None:
    """A cube with a mark at the left, in front and above: the picture has it at the right and on top."""
    plain = cube()
    plain[25:30, 60:70, 60:70] = 1000
    expected, hu, affine = view(plain, np.eye(4)), plain, np.eye(4)
    assert expected[110:140, 60:95].mean() > expected[60:95, 60:95].mean() + 0.01
    assert expected[110:140, 60:95].mean() > expected[110:140, 105:140].mean() + 0.01
    if kind == "flipped":
        hu, affine = plain[::-1], np.diag([-1.0, 1, 1, 1])
    elif kind == "permuted":
        hu, affine = plain.transpose(2, 0, 1), np.eye(4)[:, [2, 0, 1, 3]]
    elif kind == "anisotropic":
        hu, affine = plain.reshape(100, 100, 50, 2).mean(-1), np.diag([1.0, 1, 2, 1])
    if kind != "oblique":
        np.testing.assert_allclose(
            view(hu, affine), expected, atol=0.1 if kind == "anisotropic" else 1e-3
        )  # blurred edges
        return
    # A volume turned by 30 degrees about the patient's axis is seen as by a source turned back.
    turn = np.eye(4)
    turn[:2, :2] = [[math.cos(math.pi / 6), -0.5], [0.5, math.cos(math.pi / 6)]]
    np.testing.assert_allclose(view(plain, turn, angles=(30.0,)), expected, atol=1e-3)


def test_pixels_lie_on_the_detector_and_views_turn() -> None:
    front, left = RadiographBeam(detector=(3, 5), pixel_mm=10.0).views(cube((10, 10, 10)), np.eye(4))
    # The middle of the volume of 10 voxels, 1 mm each, is at 4.5 mm; the detector 500 mm behind it.
    np.testing.assert_allclose(apply_affine(front[1], [1, 2, 0]), [4.5, 4.5 - 500, 4.5])
    np.testing.assert_allclose(apply_affine(front[1], [0, 0, 0]), [14.5, 4.5 - 500, 24.5])
    np.testing.assert_allclose(apply_affine(left[1], [0, 2, 0]), [504.5, 14.5, 4.5], atol=1e-9)


def test_energy_follows_the_table_and_air_is_nothing() -> None:
    ratio = view(cube(), np.eye(4), energy=100.0)[100, 100] / view(cube(), np.eye(4))[100, 100]
    assert ratio == pytest.approx(0.1707 / 0.2059, rel=1e-5)
    assert view(np.full((20, 20, 20), -1024.0), np.eye(4)).max() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_to_axis": 1600.0}, "--source_to_axis is 1600 mm, not between 0 and 1500: place the axis"),
        ({"detector": (0, 5)}, "--detector is 0 x 5 pixels: give two numbers from 1 to 4096"),
        ({"detector": (10, 100_000)}, "--detector is 10 x 100000 pixels: give two numbers from 1 to 4096"),
        ({"pixel_mm": 0.0}, "--pixel_mm is 0: give a number above 0"),
        ({"angles": ()}, "--angles has 0 views: give 1 to 720"),
        ({"energy": 511.0}, "--energy is 511 keV: give 30 to 150"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        RadiographBeam(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("distances", [(100.0, 150.0), (30.0, 1500.0), (1480.0, 1500.0)])
def test_source_and_detector_lie_outside_the_volume(distances: tuple[float, float]) -> None:
    """A distance in cm puts a source or detector into a CT of 120 mm."""
    hu = np.full((120, 120, 120), -1000.0)
    with pytest.raises(ConfigError, match=r"where source or detector lie inside the CT: enlarge them, they are in mm$"):
        view(hu, np.eye(4), source_to_axis=distances[0], source_to_detector=distances[1])


def test_files_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hu = cube((2, 2, 2))
    hu[20:25, 20:25, 20:25] = 1000
    write_named(tmp_path / "data" / "one" / "ct.nii.gz", hu, np.diag([2.0, 2, 2, 1]), "SPL")
    words = ["simulate", "radiograph", "--dataset_dir", str(tmp_path / "data"), "--detector", "64", "48"]
    for output_format in ("tiff", "png", "nifti"):
        out = ["--out", str(tmp_path / output_format), "--output_format", output_format, "--pixel_mm", "4"]
        assert synthesize([*words, *out]) == 0
    front, left = simulate.radiograph(tmp_path / "data" / "one" / "ct.nii.gz", detector=(64, 48), pixel_mm=4)
    for number, volume in enumerate((front, left)):
        scan = VolumeReader().read(tmp_path / "nifti" / "one" / f"radiograph_{number:03d}.nii.gz", "one")
        np.testing.assert_array_equal(scan.values, volume.array)
        np.testing.assert_allclose(scan.affine, volume.affine, atol=1e-4)
    about = "SYNTHETIC radiograph of a CT, 0 degrees, 70 keV, line integrals of attenuation: not a scan"
    assert front.description == about
    record = json.loads((tmp_path / "tiff" / "one" / "radiograph.json").read_text())
    assert record["line_integral_of_65535"] == pytest.approx(max(front.array.max(), left.array.max()))
    for suffix in ("tiff/one/radiograph_001.tif", "png/one/radiograph_001.png"):
        levels, grid = read_picture(tmp_path / suffix, "one")
        step = record["line_integral_of_65535"] / 65535
        np.testing.assert_allclose(levels / 255 * record["line_integral_of_65535"], left.array, atol=step)
    assert read_picture(tmp_path / "tiff/one/radiograph_000.tif", "one")[1][0, 0] == pytest.approx(-4)
    assert b"SYNTHETIC radiograph" in (tmp_path / "png/one/radiograph_000.png").read_bytes()
    assert synthesize([*words, "--out", str(tmp_path / "png")]) == 2
    assert "already exists" in capsys.readouterr().err
