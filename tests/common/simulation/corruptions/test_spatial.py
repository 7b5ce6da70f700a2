"""Rotation, size and field of view against NumPy, and masks that stay binary."""

import numpy as np
import pytest

from common.simulation.corruptions.spatial import cropped, of_all, rotated, scaled, wrapped

IMAGE = np.random.default_rng(0).random((9, 9, 9)).astype(np.float32)
INNER = np.s_[1:-1, 1:-1, 1:-1]
"""Of the outermost voxels rounding decides whether they lie outside."""


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_a_quarter_turn_is_numpys(axes):
    seen = rotated(IMAGE, (2, 2, 2), axes, 90.0)
    np.testing.assert_allclose(seen[INNER], np.rot90(IMAGE, 1, axes)[INNER], atol=1e-4)


def test_a_rotation_is_one_in_mm():
    """A line of 20 mm along voxels of 2 mm is as long along voxels of 5 mm."""
    line = np.zeros((15, 9, 3), np.float32)
    line[2:13, 4] = 1
    seen = rotated(line, (2, 5, 5), (0, 1), 90.0)
    assert np.flatnonzero(seen[7, :, 1] > 0.99).tolist() == [2, 3, 4, 5, 6]


def test_twice_the_size_is_every_half_voxel_and_outside_is_the_minimum():
    seen = scaled(IMAGE + 5, (1, 2, 3), 2.0)
    np.testing.assert_allclose(seen[::2, ::2, ::2], IMAGE[2:7, 2:7, 2:7] + 5, rtol=1e-6)
    np.testing.assert_allclose(seen[1, 0, 0], (IMAGE[2, 2, 2] + IMAGE[3, 2, 2]) / 2 + 5, rtol=1e-6)
    small = scaled(IMAGE + 5, (1, 1, 1), 0.25)
    assert small[0, 0, 0] == IMAGE.min() + 5


def test_shares_of_the_field_of_view():
    row = np.arange(10)[None, None]
    assert cropped(row, 2, 0, 0.7)[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert cropped(row, 2, 0.26, 1)[0, 0].tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert wrapped(row, 2, 0.25)[0, 0].tolist() == [8, 9, 0, 1, 2, 3, 4, 5, 6, 7]


def test_all_volumes_of_a_case_change_alike_and_masks_stay_binary():
    volumes = {"image": IMAGE[None], "label": np.stack([IMAGE, 2 * IMAGE]), "mask": (IMAGE > 0.5)[None].astype(float)}
    seen = of_all(volumes, lambda each, order: rotated(each, (1, 1, 1), (0, 1), 30.0, order))
    np.testing.assert_allclose(seen["label"], np.stack([seen["image"][0], 2 * seen["image"][0]]), rtol=1e-5)
    assert set(np.unique(seen["mask"])) == {0, 1}
