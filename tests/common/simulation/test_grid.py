import numpy as np
import pytest

from common.simulation.grid import (
    CENTRE_MM,
    NODE_MM,
    NODE_SHAPE,
    Motion,
    grid,
    node_points,
    smooth_noise,
    stretched,
    to_voxels,
)


def test_interpolation_from_nodes_keeps_world_coordinates():
    shape, affine = grid(4.0)
    coordinates = np.stack([to_voxels(axis, shape, 4.0) for axis in node_points()])
    expected = np.einsum("ij,jxyz->ixyz", affine[:3, :3], np.indices(shape)) + affine[:3, 3].reshape(3, 1, 1, 1)
    np.testing.assert_allclose(coordinates, expected, atol=1e-3)
    moved = to_voxels(node_points()[0], (5, 5, 5), 2.0, move_mm=(3.0, 0.0, 0.0))
    np.testing.assert_allclose(moved[:, 0, 0], [-7, -5, -3, -1, 1], atol=1e-4)  # to the right, read from the left


def test_a_turned_field_is_read_where_the_motion_came_from():
    shape, affine = grid(8.0)
    motion = Motion((3.0, -2.0, 1.0), (0.0, 0.0, 10.0))
    source = np.stack([to_voxels(axis, shape, 8.0, *motion) for axis in node_points()], axis=-1).reshape(-1, 3)
    world = np.indices(shape).reshape(3, -1).T * 8.0 + affine[:3, 3]
    inside = np.all(np.abs(world - CENTRE_MM) < 70, axis=1)
    np.testing.assert_allclose(motion.apply(source)[inside], world[inside], atol=1e-3)


def test_a_turn_of_90_degrees_about_the_superior_axis_takes_right_to_anterior():
    turned = Motion((0.0, 0.0, 5.0), (0.0, 0.0, 90.0)).apply(np.array(CENTRE_MM)[None] + [[10.0, 0.0, 0.0]])
    np.testing.assert_allclose(turned[0] - CENTRE_MM, [0, 10, 5], atol=1e-9)


def test_smooth_noise_is_standardised_and_smooth():
    field = smooth_noise(np.random.default_rng(0), 25.0)
    assert field.shape == NODE_SHAPE
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.05
    assert field.std() == pytest.approx(1, abs=0.1)
    assert np.abs(field).max() <= 2
    # A Gaussian filter of sigma s gives the correlation exp(-d^2 / 4 s^2), so steps of one node have this variance.
    expected = 2 * (1 - np.exp(-((NODE_MM / 25.0) ** 2) / 4))
    assert np.diff(field, axis=1).var() == pytest.approx(expected, rel=0.35)


def test_a_field_that_does_not_move_is_the_same_one_axis_after_the_other():
    field = smooth_noise(np.random.default_rng(0), 10.0)
    for spacing in (1.3, 4.0):
        shape, _ = grid(spacing)
        np.testing.assert_allclose(stretched(field, shape, spacing), to_voxels(field, shape, spacing), atol=1e-5)
