import base64
import zlib

import numpy as np
import pytest

from common.report.volumes import HU_SCALE, grid_around, linear_scale, packed, rim_of


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


def test_linear_levels():
    scale = linear_scale(-1, 1, 5)
    assert scale.values.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert scale.levels(np.array([-0.3, 0.3, 7])).tolist() == [1, 3, 4]


def test_grid_is_cut_to_the_mask_and_its_rim_and_reduced_by_means():
    mask = np.zeros((60, 40, 20), bool)
    mask[20:40, 10:30, 8:12] = True
    grid = grid_around(mask, mask.shape, (1.0, 1.0, 3.0), 2.0)
    assert grid.box == ((14, 46), (4, 36), (6, 14))  # 6 mm on each side
    assert grid.shape == (16, 16, 8)  # thick slices stay as they are
    volume = np.zeros(mask.shape)
    volume[14, 4, 6], volume[16:18, 6:8, 7] = 8.0, 3.0
    reduced = grid.reduced(volume)
    assert reduced.shape == grid.shape
    assert (reduced[0, 0, 0], reduced[1, 1, 1]) == (2.0, 3.0)
    assert grid.steps == [2.0, 2.0, 1.0]


def test_uneven_reduction_keeps_the_mean():
    grid = grid_around(None, (17, 23, 19), (1.0, 1.0, 1.0), 1.25)
    volume = np.random.default_rng(0).normal(5, 1, (17, 23, 19))
    assert grid.shape == (16, 19, 16)
    assert grid.reduced(volume).mean() == pytest.approx(volume.mean(), abs=1e-5)


def test_rim_is_six_millimetres_wide():
    mask = np.zeros((30, 5, 5), bool)
    mask[10:12] = True
    assert np.flatnonzero(rim_of(mask, (2.0, 2.0, 2.0))[:, 2, 2]).tolist() == list(range(7, 15))
