"""U-Nets by their levels, compared with one pass over the padded volume, and how their tiles are chosen."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from monai.networks.nets import BasicUNet
from mri2pet_sketcher_refiner.networks import SketcherRefiner
from torch import Tensor, nn
from torch.nn import functional as F

from common.errors import ConfigError
from common.runs.acceleration import Acceleration
from common.stitching import CascadeInferer, PatchStitchingInferer, patch_stitching
from common.stitching.level_stitching import Tiles, tiles_of
from common.stitching.sliding_windows import cheapest_cut
from common.stitching.unet_levels import UNetLevels, unet_levels

CVAL = -1.0
ATOL = 1e-5
"""Of a scale of 2; rounding alone was measured as 4e-6."""
ODD = (61, 45, 13)
"""Padded to 64 x 48 x 16; tiles of 24 x 24 x 16 then touch none to all borders along an axis."""


def cascade(width: int = 2, channels: int = 2) -> SketcherRefiner:
    """Of random weights and statistics, whose output has a scale of about 2."""
    torch.manual_seed(0)
    made = SketcherRefiner(2, channels, width).eval()
    for layer in made.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm3d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return made


def volume(shape: tuple[int, ...] = ODD, channels: int = 2, batch: int = 1) -> Tensor:
    return torch.rand((batch, channels, *shape), generator=torch.Generator().manual_seed(0)) * 2 - 1


def inferer(max_voxels: int) -> PatchStitchingInferer:
    return PatchStitchingInferer(
        "fast", (16, 16, 16), 16, receptive_field=200, cval=CVAL, multiple_of=16, max_voxels=max_voxels, progress=False
    )


def one_pass(stage: nn.Module, inputs: Tensor) -> Tensor:
    """Of a volume padded to multiples of 16, without any inferer."""
    before = [(-n % 16) // 2 for n in inputs.shape[2:]]
    sides = [(b, -n % 16 - b) for b, n in zip(before, inputs.shape[2:], strict=True)]
    padded = F.pad(inputs, [each for side in reversed(sides) for each in side], value=CVAL)
    x, y, z = (slice(b, b + n) for b, n in zip(before, inputs.shape[2:], strict=True))
    with torch.no_grad():
        made: Tensor = stage(padded)[:, :, x, y, z]
    return made


def both_passes(network: SketcherRefiner, inputs: Tensor) -> Tensor:
    context = one_pass(network.stages[0], inputs)
    made = one_pass(network.stages[1], torch.cat([inputs, context], dim=1))
    assert 0.5 < float(made.max() - made.min()) < 20
    return made


def tiles_by_hand(network: object, levels: int, size: tuple[int, ...], max_voxels: int, deeper: int = 0) -> Tiles:
    parts, factor = unet_levels(network), 2**levels
    inner: Any = parts[levels]
    if deeper:
        below = tuple(n // factor for n in size)
        step = 2**deeper
        inner = Tiles(inner, deeper, cheapest_cut(below, 4 * step, math.prod(below) - 1, step), parts[levels + deeper])
        assert len(inner.cut.windows()) > 1
    return Tiles(parts[0], levels, cheapest_cut(size, 4 * factor, max_voxels, factor), inner)


def test_both_stages_and_a_batch_equal_one_pass() -> None:
    network, inputs = cascade(), volume(batch=2)
    stitch = inferer(24 * 24 * 16)
    tiles = tiles_of(network.stages[0], (64, 48, 16), 24 * 24 * 16)
    assert tiles is not None
    assert tiles.levels == 1
    assert [sum(w[axis].start > 0 for axis in range(3)) for w in tiles.cut.windows()].count(2) > 4
    assert tiles.cut == ((64, 48, 16), (24, 24, 16), (8, 8, 16))
    torch.testing.assert_close(CascadeInferer(stitch)(inputs, network), both_passes(network, inputs), rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    ("shape", "levels", "deeper", "max_voxels"),
    [
        ((77, 61, 10), 2, 0, 48 * 48 * 16),
        ((77, 61, 10), 2, 1, 40 * 48 * 16),
        ((90, 30, 12), 1, 2, 32 * 32 * 16),
        ((61, 45, 13), 1, 1, 24 * 24 * 16),
        ((10, 14, 150), 3, 1, 16 * 16 * 96),
    ],
)
def test_any_levels_equal_one_pass(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], levels: int, deeper: int, max_voxels: int
) -> None:
    monkeypatch.setattr(
        patch_stitching, "tiles_of", lambda network, size, _: tiles_by_hand(network, levels, size, max_voxels, deeper)
    )
    network, inputs = cascade(), volume(shape)
    found = inferer(max_voxels)(inputs, network.stages[0])
    torch.testing.assert_close(found, one_pass(network.stages[0], inputs), rtol=0, atol=ATOL)


def test_a_volume_that_fits_takes_one_pass() -> None:
    network, inputs = cascade(), volume()
    seen: list[tuple[int, ...]] = []
    network.stages[0].register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    inferer(64 * 48 * 16)(inputs, network.stages[0])
    assert seen == [(1, 2, 64, 48, 16)]


def test_tiles_by_arithmetic() -> None:
    """128^3 voxels; below the first pooling 262144 with as many features, below the second 32768 with twice as many."""
    stage, size = cascade().stages[0], (128, 128, 128)
    one = tiles_of(stage, size, 64**3)  # 262144 is at most 4 times 64^3 to be kept, and not above 64^3 for one pass
    assert one is not None
    assert one.levels == 1
    assert isinstance(one.deeper, UNetLevels)
    two = tiles_of(stage, size, 40**3)  # 262144 is more than 4 times 64000, twice 32768 more than 64000
    assert two is not None
    assert two.levels == 2
    assert two.cut == (size, (40, 40, 40), (8, 8, 8))
    assert isinstance(two.deeper, Tiles)
    assert two.deeper.levels == 1
    assert two.deeper.cut.size == (32, 32, 32)
    assert tiles_of(stage, size, 35**3) is None  # of 36 voxels a side 2 x 16 are halo


def test_other_networks_and_arguments_take_windows() -> None:
    instance, stage, enough = BasicUNet(3, 2, 1, (2, 2, 4, 8, 16, 2)).eval(), cascade().stages[0], 24 * 24 * 16
    for max_voxels, network, *arguments in (
        (enough, instance),
        (enough, cascade().stages[0].train()),
        (enough, nn.Sequential(stage)),
        (enough, stage, "an argument"),
        (16**3, stage),
    ):
        with pytest.raises(ConfigError, match="max_voxels is .*, too few for a window wider than the receptive field"):
            inferer(max_voxels)(volume(), network, *arguments)


def test_channels_last_gives_the_same_voxels() -> None:
    network, inputs = cascade(), volume()
    expected = both_passes(network, inputs)
    Acceleration(channels_last=True).prepare([network])
    found = CascadeInferer(inferer(24 * 24 * 16))(inputs, network)
    torch.testing.assert_close(found, expected, rtol=0, atol=ATOL)


def test_half_the_bits_stay_so() -> None:
    network, inputs = cascade(), volume()
    with torch.autocast("cpu", torch.bfloat16):
        found = inferer(24 * 24 * 16)(inputs, network.stages[0])
        expected = one_pass(network.stages[0], inputs)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=0.1)
