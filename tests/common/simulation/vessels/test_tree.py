"""Vessels of one head: volumes by hand, continuity, plausible sizes, and where they lie."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from common.simulation.grid import grid
from common.simulation.vessels.centre_lines import Lines
from common.simulation.vessels.tree import fill, vessel_lines


def tube(points, radius, vein=False) -> Lines:
    count = len(points)
    radii = np.full(count, radius) if np.isscalar(radius) else np.array(radius)
    parent = np.arange(-1, count - 1)
    return Lines(np.array(points, float), radii, parent, np.full(count, vein), np.zeros(count, int))


def volume(fraction, spacing):
    return fraction.sum(dtype=np.float64) * spacing**3


@pytest.mark.parametrize("spacing", [1.0, 2.5])
@pytest.mark.parametrize("radius", [0.4, 1.3, 4.0])
def test_a_tube_fills_its_volume_at_every_spacing(spacing, radius):
    shape, affine = grid(spacing)
    fraction, veins = fill(tube([(-20.3, 1.2, 3.1), (19.7, 5.2, -8.9)], radius), shape, affine)
    length = np.sqrt(40**2 + 4**2 + 12**2)
    # Whole voxels are cut off at 1, which takes a few percent from wide tubes.
    assert volume(fraction, spacing) == pytest.approx(np.pi * radius**2 * length, rel=0.04)
    assert fraction.min() >= 0
    assert fraction.max() <= 1
    assert not veins.any()


def test_a_tapering_tube_is_a_frustum_and_a_branch_leaves_its_trunk_with_its_own_radius():
    shape, affine = grid(2.0)
    fraction, _ = fill(tube([(0, 0, 0), (0, 0, 30)], [3.0, 1.0]), shape, affine)
    assert volume(fraction, 2.0) == pytest.approx(np.pi * 30 / 3 * (9 + 3 + 1), rel=0.02)
    lines = replace(tube([(0, 0, 0), (0, 0, 20)], [5.0, 0.5]), vessel=np.array([0, -1]))
    branch, _ = fill(lines, shape, affine)
    assert volume(branch, 2.0) == pytest.approx(np.pi * 0.25 * 20, rel=0.02)


def test_a_thin_vessel_fills_a_voxel_by_its_cross_section_and_a_wide_one_whole():
    shape, affine = grid(2.0)
    centre = affine[:3, 3] + 2.0 * np.array((50, 60, 50))
    line = np.array([centre - (0, 0, 20), centre + (0, 0, 20)])
    thin, _ = fill(tube(line, 0.5), shape, affine)
    assert thin[50, 60, 45:55] == pytest.approx(np.pi * 0.25 / 4, rel=0.1)
    assert np.count_nonzero(thin.sum(axis=2)) == 1
    wide, veins = fill(tube(line, 4.0, vein=True), shape, affine)
    assert wide[50, 60, 45:55] == pytest.approx(1, abs=0.05)
    assert veins[50, 60, 50] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_each_circulation_is_continuous(seed):
    lines = vessel_lines(np.random.default_rng(seed))
    shape, affine = grid(1.0)
    total, veins = fill(lines, shape, affine)
    for kind in (total * (1 - veins), total * veins):
        pieces, count = ndimage.label(kind > 0.05, np.ones((3, 3, 3)))
        volumes = np.sort(ndimage.sum_labels(kind, pieces, range(1, count + 1)))[::-1]
        # One tree in the skull with all that springs from it, besides the scalp's two.
        assert volumes[:3].sum() > 0.97 * kind.sum()


def test_other_seeds_give_other_vessels_within_the_usual_radii():
    first, again, other = (vessel_lines(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.radius[:300], other.radius[:300])
    assert len(first.radius) != len(other.radius)
    for lines in (first, other):
        assert lines.radius.min() > 0.2
        assert lines.radius.max() < 7


def test_vessels_lie_inside_the_head_and_mostly_inside_the_skull(head):
    vessel = head.fractions["vessel"]
    assert vessel[~head.head].sum() < 1e-3 * vessel.sum()
    outer = (head.fractions["skull"] + head.fractions["marrow"] > 0.5)[..., 36:]
    skull = np.stack([ndimage.binary_fill_holes(outer[..., z]) for z in range(outer.shape[2])], axis=2)
    assert vessel[..., 36:][skull].sum() > 0.85 * vessel[..., 36:].sum()
    # Below the vertex bone gives way to no vessel: the scalp's and the brain's do not meet.
    assert vessel[..., 36:][outer].sum() < 0.05 * vessel[..., 36:].sum()
