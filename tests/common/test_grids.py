"""Voxels of a grid that another volume covers, and grids of another spacing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from common.grids import covered, in_ras, ras_spacing, reoriented, respaced


def at(*origin: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def test_the_field_of_view_reaches_to_the_edges_of_the_outer_voxels():
    # 3 voxels of 2 mm at x = 1.4, 3.4, 5.4 reach from 0.4 to 6.4
    inside = covered((8, 2, 2), np.eye(4), (3, 2, 2), at(1.4, 0, 0, spacing=(2, 1, 1)))
    assert inside[:, 0, 0].tolist() == [False, True, True, True, True, True, True, False]
    assert (inside == inside[:, :1, :1]).all()


def test_axes_in_another_order_and_direction():
    # the other volume's axes run along -y, z and x; it begins at y = 5 and has 4, 3 and 2 voxels
    other = np.array([[0, 0, 1, 2], [-1, 0, 0, 5], [0, 1, 0, 1], [0, 0, 0, 1.0]])
    inside = covered((6, 7, 8), np.eye(4), (4, 3, 2), other)
    expected = np.zeros((6, 7, 8), bool)
    expected[2:4, 2:6, 1:4] = True
    np.testing.assert_array_equal(inside, expected)


def test_a_rotated_volume_by_its_places():
    turn = np.array([[0.8, -0.6, 0, 1], [0.6, 0.8, 0, -2], [0, 0, 1.5, 0], [0, 0, 0, 1]])
    inside = covered((9, 9, 3), np.eye(4), (6, 7, 2), turn)
    for index in np.ndindex(9, 9, 3):
        place = np.linalg.solve(turn, [*index, 1])[:3]
        assert inside[index] == all(-0.5 <= p <= n - 0.5 for p, n in zip(place, (6, 7, 2), strict=True))
    assert 0 < inside.mean() < 1


@pytest.mark.parametrize("degrees", [0, 45])
def test_another_order_of_axes_is_brought_back_without_a_change(degrees):
    """Stored along z, -x and y instead of x, y and z, of a scan turned by 45 degrees too: a voxel keeps its place."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (degrees, degrees, degrees), degrees=True).as_matrix()
    affine = turn @ at(5, -6, 7, spacing=(1, 2, 3))
    values = np.arange(24.0).reshape(2, 3, 4)
    moved = np.flip(values.transpose(2, 0, 1), axis=1)
    places = np.array([[0, -1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])  # of moved voxels among the first
    back, own = reoriented(np.stack([moved, -moved]), affine @ places, affine)
    np.testing.assert_array_equal(torch.from_numpy(back), np.stack([values, -values]))
    np.testing.assert_allclose(own, affine, atol=1e-12)


def test_another_spacing_begins_at_the_same_voxel():
    # 11 voxels of 2 mm span 20 mm: 21 of 1 mm, 6 of 4 mm; 5 of 3 mm span 12: 4 of 4 mm
    shape, affine = respaced((11, 11, 5), at(7, -8, 9, spacing=(2, 2, 3)), (1, 4, 4))
    assert shape == (21, 6, 4)
    np.testing.assert_allclose(affine, at(7, -8, 9, spacing=(1, 4, 4)))


def test_a_spacing_that_is_there_already_is_kept_as_it_is_written():
    affine = at(0, 0, 0, spacing=(2.0000002, 1.9999, 3))
    shape, kept = respaced((9, 9, 9), affine, (2, 2, 3))
    assert shape == (9, 9, 9)
    np.testing.assert_array_equal(kept, affine)


def test_neither_direction_nor_rounding_of_an_affine_chooses_the_places():
    """45 steps of 1.4 mm are 31.5 of 2 mm: a tie that float32 would decide either way."""
    expected = np.diag([2 / 1.9, 2 / 1.4, 2 / 2.6, 1])
    for seed in range(50):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * (1.9, 1.4, 2.6)
        affine[:3, 3] = (1234.567, -90.1, 7.3)
        affine = affine.astype(np.float32).astype(float)
        shape, placed = respaced((40, 46, 30), affine, (2, 2, 2))
        assert shape == (38, 32, 39)
        np.testing.assert_allclose(np.linalg.solve(affine, placed), expected, atol=1e-6)


def test_a_function_gets_axes_in_ras_order_and_its_result_has_those_of_the_volume():
    """Axes that run to inferior, right and anterior: the first slice from below is the last along the first axis."""
    affine = np.array([[0, 2.0, 0, 0], [0, 0, 3, 0], [-4, 0, 0, 0], [0, 0, 0, 1]])
    volume = np.arange(24.0).reshape(2, 3, 4)
    seen = []

    def numbered(turned: np.ndarray) -> np.ndarray:
        seen.append(turned)
        return np.zeros_like(turned) + [10, 20]

    made = in_ras(numbered, volume, affine)
    np.testing.assert_array_equal(seen[0], np.moveaxis(volume[::-1], 0, 2))
    np.testing.assert_array_equal(made, np.zeros((2, 3, 4)) + np.reshape([20, 10], (2, 1, 1)))
    assert ras_spacing(affine) == (2, 3, 4)
