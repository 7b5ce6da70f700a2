"""Tiles of a convolution in the frequency domain, and when it is worth it."""

from __future__ import annotations

import pytest
import torch
from pd2t2_dcgan_acm.dilated.plan import SPECTRUM_BYTES, Axis, best_plan


@pytest.mark.parametrize("length", range(1, 14))
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("tiles", [1, 2, 4])
def test_tiles_write_each_voxel_once(length, dilation, tiles):
    written = torch.zeros(length)
    for window in Axis(length, dilation, 2, tiles).windows():
        written[window.write] += 1
        kept = range(*window.kept.indices(1000))
        assert len(kept) == len(range(*window.write.indices(length)))
    assert (written == 1).all()


def test_transforms_as_short_as_can_be():
    # 32 voxels, dilation 2: grids of 16; 4 zeros serve both ends of a kernel of 9. Two tiles of 8 read 4 on each side.
    assert Axis(32, 2, 4, 1).size == 16 + 4
    assert Axis(32, 2, 4, 2).size == 8 + 2 * 4


def test_plan_of_the_widest_published_layer():
    plan = best_plan((32,) * 3, (9,) * 3, (2,) * 3, 64, 64)
    assert plan is not None
    assert plan.frequencies == (11, 20, 20)
    assert plan.spectrum_bytes == 11 * 20 * 20 * 64 * 64 * 8 == 144_179_200
    large_volume = best_plan((128,) * 3, (9,) * 3, (2,) * 3, 64, 64)
    assert large_volume is not None
    assert large_volume.spectrum_bytes <= SPECTRUM_BYTES
    assert large_volume.axes[0].tiles > 1


@pytest.mark.parametrize(
    ("lengths", "kernel", "channels"),
    [
        ((32,) * 3, 3, 32),  # 2.8 times less arithmetic, lost by its slower kind
        ((32,) * 3, 1, 64),
        ((32,) * 3, 7, 512),  # 2 MiB a frequency: 128 fit, less than 7^3 / 2
    ],
)
def test_direct_where_that_is_faster_or_the_spectrum_too_large(lengths, kernel, channels):
    assert best_plan(lengths, (kernel,) * 3, (2,) * 3, channels, channels) is None
