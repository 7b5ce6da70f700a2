"""The skull along rays: a drawn skull of concentric shells, whose values are found by hand."""

from __future__ import annotations

import numpy as np
import pytest

from common.metrics import skull_errors, skull_map, skull_rays, skull_scores

SIZE, SCALP = 161, 75.0
TABLES = ((0, 0), (57, 0), (59, 1000), (62, 1000), (64, 400), (66, 400), (68, 1200), (71, 1200), (73, 0), (75, 0))
"""HU by distance from the middle in mm, straight lines in between: inner table, marrow, outer table."""
THICKNESS = (71 + 2 * 950 / 1200) - (57 + 2 * 250 / 1000)
"""From 250 HU to 250 HU on the outermost and innermost lines."""
MEAN_HU = (2 * 950 / 1200 * 725 + 3 * 1200 + 2 * 800 + 2 * 400 + 2 * 700 + 3 * 1000 + 1.5 * 625) / THICKNESS
"""Plateaus and lines from outside inwards: length times mean."""
POROSITY = (1.25 * 0.375 + 1.5 * 0.3 + 2 * 0.6 + 2 * 0.3 + 1.5 * 0.375) / THICKNESS
"""The parts below 1000 HU."""


def drawn(knots=TABLES, spacing=1.0):
    """CT of the shells, mask and affine; voxels of ``spacing`` mm along the first axis, which runs to the left."""
    axes = [np.arange(round(SIZE / step)) * step - 80 for step in (spacing, 1, 1)]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    ct = np.where(radius <= SCALP, np.interp(radius, *np.transpose(knots)), -1000.0)
    affine = np.diag([-spacing, 1, 1, 1.0])
    affine[:3, 3] = 17, -4, 9  # the patient lies anywhere
    return ct, radius <= SCALP, affine


@pytest.fixture(scope="module")
def shells():
    return drawn()


@pytest.mark.parametrize("spacing", [1.0, 0.7])
def test_every_ray_finds_the_values_of_the_drawing(spacing):
    rays = skull_rays(*drawn(spacing=spacing))
    assert len(rays.thickness) == 500
    assert rays.thickness == pytest.approx(np.full(500, THICKNESS), abs=0.2)
    assert rays.hu == pytest.approx(np.full(500, MEAN_HU), rel=0.03)
    assert rays.porosity == pytest.approx(np.full(500, POROSITY), abs=0.02)
    assert rays.sdr == pytest.approx(np.full(500, 400 / 1100), abs=0.01)
    assert not rays.air.any()


def test_rays_start_on_the_scalp_of_the_upper_half_and_run_to_its_middle(shells):
    rays = skull_rays(*shells, count=100)
    middle = np.array([17 - 80, -4 + 80, 9 + 80])
    assert np.linalg.norm(rays.points - middle, axis=1) == pytest.approx(np.full(100, SCALP), abs=0.6)
    assert (rays.points[:, 2] > middle[2] - 1).all()
    ends = rays.points + SCALP * rays.directions
    assert np.abs(ends - middle).max() < 1


def test_errors_beside_a_skull_that_is_thinner_and_of_less_hu(shells):
    """An outer table of 900 HU that ends a millimetre earlier; marrow stays."""
    thin = [*TABLES[:6], (68, 900), (70, 900), (72, 0), (75, 0)]
    ct, mask, affine = shells
    scores = skull_scores(drawn(thin)[0], ct, mask, affine)
    thickness = (70 + 2 * 650 / 900) - 57.5
    assert scores["skull_thickness_error"] == pytest.approx(THICKNESS - thickness, abs=0.1)
    assert scores["skull_thickness_bias"] == pytest.approx(thickness - THICKNESS, abs=0.1)
    assert scores["sdr"] == pytest.approx(400 / 950, abs=0.01)
    assert scores["sdr_error"] == pytest.approx(400 / 950 - 400 / 1100, abs=0.01)
    assert scores["sdr_truth"] == pytest.approx(400 / 1100, abs=0.01)
    assert scores["skull_hu_bias"] < -100
    assert scores["skull_missed"] == scores["skull_air_error"] == 0


def test_a_hole_and_a_sinus_are_found_on_the_rays_through_them(shells):
    ct, mask, affine = shells
    holed, sinus = ct.copy(), ct.copy()
    holed[:80] = np.minimum(holed[:80], 0)  # one half of the skull is soft
    radius = np.linalg.norm(np.moveaxis(np.indices(ct.shape), 0, -1) - 80, axis=-1)
    sinus[(radius > 64) & (radius < 68) & (np.arange(SIZE)[:, None, None] > 80)] = -1000
    scores = skull_scores(holed, ct, mask, affine)
    assert scores["skull_missed"] == pytest.approx(0.5, abs=0.02)
    assert scores["skull_thickness_error"] == pytest.approx(0, abs=0.2)
    scores = skull_scores(sinus, ct, mask, affine)
    assert scores["skull_air_error"] == pytest.approx(0.5, abs=0.02)
    assert scores["skull_thickness_error"] == pytest.approx(0, abs=0.1)


def test_soft_tissue_ends_the_skull_and_what_is_bone_behind_it_is_none(shells):
    """A calcified falx 20 mm further in."""
    ct, mask, affine = shells
    radius = np.linalg.norm(np.moveaxis(np.indices(ct.shape), 0, -1) - 80, axis=-1)
    rays = skull_rays(np.where((radius > 32) & (radius < 37), 900.0, ct), mask, affine)
    assert rays.thickness == pytest.approx(np.full(500, THICKNESS), abs=0.2)


def test_bone_of_one_value_has_a_ratio_of_one(shells):
    plain = [(0, 0), (57, 0), (59, 800), (71, 800), (73, 0), (75, 0)]
    rays = skull_rays(*drawn(plain))
    assert rays.sdr == pytest.approx(np.ones(500), abs=0.02)
    assert skull_errors(rays, rays)["sdr_error"] == 0


def test_the_map_has_a_value_where_each_ray_enters_the_head(shells):
    ct, mask, affine = shells
    rays = skull_rays(ct, mask, affine, count=20)
    volume = skull_map(rays.thickness, rays, ct.shape, affine).get_fdata()
    assert np.count_nonzero(np.isfinite(volume)) == 20
    assert np.nanmean(volume) == pytest.approx(THICKNESS, abs=0.1)


def test_nothing_is_measured_without_hu_or_a_head(shells):
    ct, mask, affine = shells
    assert skull_scores(ct, ct, mask, affine, unit="a.u.") == {}
    assert skull_scores(ct, np.minimum(ct, 100), mask, affine) == {}
