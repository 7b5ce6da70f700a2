import base64
import zlib

import numpy as np
import pytest

from common.evaluation.report.volumes import HU_SCALE, grid_of, packed


def unpacked(text, shape):
    """The reverse of ``packed`` voxel by voxel, as the script does it."""
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, *shape).astype(int)
    folded, found = low + 256 * high, np.zeros([side + 1 for side in shape], int)
    for x, y, z in np.ndindex(*shape):
        before = found[x, y + 1, z + 1] + found[x + 1, y, z + 1] + found[x + 1, y + 1, z]
        change = -(folded[x, y, z] + 1) // 2 if folded[x, y, z] % 2 else folded[x, y, z] // 2
        found[x + 1, y + 1, z + 1] = before // 3 + change
    return found[1:, 1:, 1:]


def test_packing_loses_nothing():
    levels = np.random.default_rng(0).integers(0, 461, (5, 7, 6)).astype(np.uint16)
    levels[0, 0, 0], levels[4, 6, 5] = 460, 0
    assert np.array_equal(unpacked(packed(levels), levels.shape), levels)


def test_hu_are_rounded_within_the_stated_tolerance():
    values = np.linspace(-1024, 3002, 40001)
    error = np.abs(HU_SCALE.values[HU_SCALE.levels(values)] - values)
    narrow = (values >= -200) & (values <= 300)
    assert error[narrow].max() == pytest.approx(1.5, abs=0.01)
    assert error.max() == pytest.approx(6.0, abs=0.01)
    assert HU_SCALE.ends == (-1024, 3002)
    assert (np.diff(HU_SCALE.values) > 0).all()
    assert HU_SCALE.levels(np.array([-9e9, 9e9, np.nan])).tolist() == [0, 463, 0]


def test_grid_of_a_whole_volume_is_reduced_by_means():
    grid = grid_of((32, 32, 8), (1.0, 1.0, 3.0), 2.0)
    assert grid.shape == (16, 16, 8)  # thick slices stay as they are
    volume = np.zeros((32, 32, 8))
    volume[0, 0, 0], volume[2:4, 2:4, 1] = 8.0, 3.0
    reduced = grid.reduced(volume)
    assert reduced.shape == grid.shape
    assert (reduced[0, 0, 0], reduced[1, 1, 1]) == (2.0, 3.0)
    assert grid.steps == [2.0, 2.0, 1.0]
