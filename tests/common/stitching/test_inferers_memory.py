"""Memory of a forward pass by hand; ``python -m tools.bench memory`` compares it with what a process takes."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from mri2pet_sketcher_refiner.networks import SketcherRefiner
from pd2t2_dcgan_acm.networks import AutoContext, SingleStage
from torch import Tensor, nn

from common.networks.unet import UNetGenerator
from common.stitching import CascadeInferer, PatchStitchingInferer, PlaneInferer, TargetScaleInferer
from common.stitching.memory import forward_bytes, without_values


def ghost(network: nn.Module) -> nn.Module:
    return without_values(network).eval()


class TwoSteps(nn.Module):
    """Holds its input's copy while it makes another."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) + 1


def test_what_is_alive_at_a_time_is_counted() -> None:
    assert forward_bytes(ghost(TwoSteps()), 1, 1, 10, 10) == 2 * 400
    assert forward_bytes(ghost(nn.Sequential(TwoSteps(), TwoSteps())), 1, 1, 10, 10) == 3 * 400


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(16, 24, 3, padding=1), (2, 16, 5, 5), 4 * 2 * 25 * (24 + 16 + 24)),
        (nn.Conv2d(5, 9, 3, padding=1), (1, 5, 5, 5), 4 * 25 * (9 + 8 + 16)),  # blocks of 8 channels
        (nn.Conv2d(1, 8, 4, 2, 1), (1, 1, 8, 8), 4 * (16 * 8 + 64 + 16 * 8)),
        (nn.Conv3d(2, 2, 3, padding=1), (1, 2, 4, 4, 4), 4 * 64 * (2 + 27 * 2)),
    ],
)
def test_a_convolution_has_its_workspace(layer: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert forward_bytes(ghost(layer), *shape) == expected


def test_the_network_keeps_its_weights_and_the_copy_takes_none() -> None:
    network = AutoContext(2, 1, 4)
    network.in_use.fill_(1)
    before = copy.deepcopy(network.state_dict())
    empty = ghost(network)
    forward_bytes(empty.stages[0], 1, 1, 12, 12, 12)  # type: ignore[index,union-attr]
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert int(empty.in_use) == 1  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_an_earlier_pass_has_cached_counts_again() -> None:
    stage = ghost(AutoContext(1, 1, 4)).stages[0]  # type: ignore[index,union-attr]
    assert forward_bytes(stage, 1, 1, 40, 40, 40) == forward_bytes(stage, 1, 1, 40, 40, 40)


# ---- what needs less ------------------------------------------------------------------------------------------------


def test_each_smaller_inferer_needs_less_and_the_first_is_as_configured() -> None:
    slices = list(PlaneInferer(batch_size=12, multiple_of=16).smaller())
    assert [words for words, _ in slices] == [f"inference_batch {size}" for size in (12, 6, 3, 1)]
    unet = ghost(UNetGenerator(1, 1, 4, 4))
    needed = [inferer.bytes_needed(unet, 1, (32, 32, 32)) for _, inferer in slices]
    assert needed == sorted(needed, reverse=True)
    assert needed[0] > 2 * needed[-1]
    patches = TargetScaleInferer(CascadeInferer(PatchStitchingInferer("fast", receptive_field=5, max_voxels=4096)))
    context = ghost(AutoContext(2, 1, 4))
    found = list(patches.smaller())
    assert [words for words, _ in found[:3]] == ["max_voxels 4096", "max_voxels 3072", "max_voxels 2304"]
    assert found[2][1].bytes_needed(context, 1, (16, 16, 16)) < found[0][1].bytes_needed(context, 1, (16, 16, 16))
    slabs, alone = SingleStage(unet, 1), PlaneInferer("axial", 1, batch_size=4, multiple_of=16)
    assert CascadeInferer(alone).bytes_needed(slabs, 1, (16, 16, 8)) == alone.bytes_needed(unet, 1, (16, 16, 8))


@pytest.mark.parametrize("shape", [(512, 512, 300), (512, 512, 800)])
def test_tiles_of_a_u_net_leave_most_of_3_gb_beside_large_sources(shape: tuple[int, ...]) -> None:
    """Output and context are two volumes; a margin of 15 % and 0.8 GB of libraries are left."""
    network = ghost(SketcherRefiner(2, 4, 2))
    inferer = CascadeInferer(PatchStitchingInferer("fast", 64, 32, multiple_of=16, max_voxels=1062882, cval=-1))
    volumes = 2 * 4 * math.prod(shape)
    assert volumes < inferer.bytes_needed(network, 4, shape) < volumes + 0.3e9 < (3e9 - 0.8e9) / 1.1


@pytest.mark.parametrize("cval", [None, -1.0])
def test_smaller_windows_give_the_same_voxels(cval: float | None) -> None:
    """A cascade of two convolutions of width 5: a receptive field of 9; sides are no multiples of 4."""
    torch.manual_seed(0)
    stages = [nn.Sequential(nn.Conv3d(1 + k, 3, 5, padding=2), nn.Conv3d(3, 1, 5, padding=2)) for k in (0, 1)]
    network = AutoContext(2, 1, 4).eval()
    network.stages = nn.ModuleList(stages)
    inner = PatchStitchingInferer(
        "fast", (8, 8, 8), 4, receptive_field=9, cval=cval, multiple_of=4, max_voxels=40**3, progress=False
    )
    volume = torch.rand(1, 1, 33, 26, 37) * 2 - 1
    with torch.no_grad():
        first, *others = [each(volume, network) for _, each in list(CascadeInferer(inner).smaller())[:9:2]]
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=1e-5)
