"""The sliced Wasserstein distance: pyramids that add up, a distance by scale, and sets that cannot be compared."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from common.errors import DataError
from common.metrics.sliced_wasserstein import laplacian_pyramid, sliced_wasserstein


def smooth(seed: int, count: int = 12, side: int = 64) -> torch.Tensor:
    """Images without fine detail."""
    noise = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (side, side), mode="bicubic", align_corners=False)


def test_levels_halve_and_a_constant_image_has_no_detail() -> None:
    levels = laplacian_pyramid(torch.full((1, 3, 64, 64), 5.0))
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    assert levels[-1] == pytest.approx(torch.full((1, 3, 16, 16), 5.0), abs=1e-5)
    assert levels[0][:, :, 4:-4, 4:-4].abs().max() < 1e-5
    checks = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float().expand(1, 1, 64, 64)
    fine, *coarse = laplacian_pyramid(checks)
    assert fine[0, 0, 8:-8, 8:-8].abs() == pytest.approx(torch.full((48, 48), 0.5), abs=1e-5)
    assert coarse[-1][0, 0, 4:-4, 4:-4] == pytest.approx(torch.full((8, 8), 0.5), abs=1e-5)


def test_noise_is_far_at_the_finest_level_alone() -> None:
    real, others = smooth(0), smooth(1)
    floor = sliced_wasserstein(others, real)
    noisy = sliced_wasserstein(others + 0.1 * torch.randn(others.shape), real)
    assert list(floor) == ["swd_64", "swd_32", "swd_16"]
    assert sliced_wasserstein(others, real) == floor
    assert noisy["swd_64"] > 2 * floor["swd_64"]
    assert noisy["swd_16"] == pytest.approx(floor["swd_16"], rel=0.3)
    coarse = sliced_wasserstein(others * torch.linspace(0, 2, 64)[:, None], real)
    assert coarse["swd_16"] > floor["swd_16"]


def test_sets_of_other_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"compares images of \(3, 64, 64\) and \(3, 32, 32\): give"):
        sliced_wasserstein(smooth(0, 2), smooth(1, 3, 32))
