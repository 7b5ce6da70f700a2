"""Voxels of a grid that another volume covers."""

from __future__ import annotations

import numpy as np

from common.grids import covered


def at(*origin: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def test_the_field_of_view_reaches_to_the_edges_of_the_outer_voxels():
    # 3 voxels of 2 mm at x = 1.4, 3.4, 5.4 reach from 0.4 to 6.4
    inside = covered((8, 2, 2), np.eye(4), (3, 2, 2), at(1.4, 0, 0, spacing=(2, 1, 1)))
    assert inside[:, 0, 0].tolist() == [False, True, True, True, True, True, True, False]
    assert (inside == inside[:, :1, :1]).all()


def test_each_axis_counts():
    inside = covered((4, 4, 4), np.eye(4), (4, 4, 4), at(1, -2, 3))
    np.testing.assert_array_equal(np.argwhere(inside), [[x, y, 3] for x in (1, 2, 3) for y in (0, 1)])


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
