"""The dilated generator and the discriminator of patches: their published sizes, and what each voxel depends on."""

from __future__ import annotations

import pytest
import torch
from pd2t2_dcgan_acm.networks import AutoContext, DilatedGenerator, PatchClassifier
from torch import nn
from toy_networks import parameters

from common.errors import ConfigError

FIELD = 59
"""Voxels along a side: 1 + 8 + 2 (2 + 2 + 2 + 8 + 2 + 2 + 6) + 2, kernels less one times their dilation."""


def convolutions(network: nn.Module) -> list[nn.Conv3d]:
    return [part for part in network.modules() if isinstance(part, nn.Conv3d)]


def averaging(width: int = 1) -> DilatedGenerator:
    """Every kernel takes the mean of what it sees, so that what is seen at all shows in the output."""
    network = DilatedGenerator(1, width, residual=False).eval()
    for conv in convolutions(network):
        nn.init.constant_(conv.weight, 1 / conv.weight[0].numel())
    return network


# ---- the generator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "expected"),
    # 32 filters of 9^3 on the channels, 27 (32 32 + 32 32 + 32 64), 9^3 64 64, 27 (64 64 + 64 32), 7^3 32 32, and
    # 27 32 + 1 of the last, which alone has a bias: 3,637,889; scale and shift of 352 normalised filters: 704
    [(1, 3_637_889 + 704), (2, 3_637_889 + 704 + 729 * 32)],
)
def test_published_generator(channels: int, expected: int) -> None:
    assert 729 * 32 + 27 * 4096 + 729 * 4096 + 27 * 6144 + 343 * 1024 + 27 * 32 + 1 == 3_637_889
    assert parameters(DilatedGenerator(channels)) == expected


def test_layers_are_those_of_the_table() -> None:
    found = [(c.kernel_size[0], c.out_channels, c.dilation[0]) for c in convolutions(DilatedGenerator())]
    assert found == [
        (9, 32, 1), (3, 32, 2), (3, 32, 2), (3, 64, 2), (9, 64, 2), (3, 64, 2), (3, 32, 2), (7, 32, 2), (3, 1, 1),
    ]  # fmt: skip
    kinds = [type(part) for part in DilatedGenerator().modules()]
    assert kinds.count(nn.BatchNorm3d) == kinds.count(nn.LeakyReLU) == 8
    assert not [kind for kind in kinds if "Pool" in kind.__name__]


def test_one_voxel_reaches_59_voxels_a_side_and_no_other() -> None:
    side, at = FIELD + 4, 31
    x = torch.zeros(1, 1, side, side, side)
    x[..., at, at, at] = 1.0
    with torch.no_grad():
        reached = averaging()(x)[0, 0] > 0
    expected = torch.zeros(side, side, side, dtype=torch.bool)
    near = slice(at - FIELD // 2, at + FIELD // 2 + 1)
    expected[near, near, near] = True
    assert torch.equal(reached, expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_residual_adds_the_source_alone(channels: int, training: bool) -> None:
    x = torch.randn(2, channels, 9, 8, 7, generator=torch.Generator().manual_seed(0))
    for residual in (True, False):
        network = DilatedGenerator(channels, 2, residual).train(training)
        nn.init.zeros_(convolutions(network)[-1].weight)
        assert torch.equal(network(x), x[:, :1] if residual else torch.zeros(2, 1, 9, 8, 7))


@pytest.mark.parametrize("sides", [(1, 1, 1), (13, 15, 1), (5, 17, 8)])
def test_any_size_is_kept(sides: tuple[int, int, int]) -> None:
    network = DilatedGenerator(width=2)
    for training in (True, False):
        assert network.train(training)(torch.randn(2, 1, *sides)).shape == (2, 1, *sides)


# ---- the cascade ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_later_stages_see_the_source_and_the_output_before(stages: int) -> None:
    cascade = AutoContext(stages, width=2)
    assert [convolutions(stage)[0].in_channels for stage in cascade.stages] == [1, 2, 2][:stages]
    assert cascade.get_buffer("target_scale").tolist() == [0.0, 1.0]
    assert int(cascade.get_buffer("in_use")) == stages


def test_residuals_add_the_source_in_every_stage_and_never_twice() -> None:
    """The last layers silent, each stage returns the source: a residual on the context would add up."""
    cascade = AutoContext(3, width=2)
    for stage in cascade.stages:
        nn.init.zeros_(convolutions(stage)[-1].weight)
    x = torch.randn(1, 1, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    context = torch.full_like(x, 100.0)
    assert torch.equal(cascade(x), x)
    assert torch.equal(cascade.stages[1](torch.cat([x, context], dim=1)), x)


def test_no_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="stages is 0, below 1: pass the number of generators"):
        AutoContext(0)


# ---- the discriminator ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("conditional", "channels"), [(True, 2), (False, 1)])
def test_published_discriminator(conditional: bool, channels: int) -> None:
    network = PatchClassifier(conditional=conditional)
    found = convolutions(network)
    assert [(conv.in_channels, conv.out_channels) for conv in found] == [
        (channels, 32), (32, 64), (64, 128), (128, 256),
    ]  # fmt: skip
    dense = [part for part in network.modules() if isinstance(part, nn.Linear)]
    # three times halved, a patch of 32 is 4: 256 filters of 64 voxels
    assert [(part.in_features, part.out_features) for part in dense] == [(16384, 512), (512, 128), (128, 1)]
    # kernels and normalisation; weights and biases of the dense layers
    expected = 27 * (channels * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * 480
    assert parameters(network) == expected + 16384 * 512 + 512 * 128 + 128 + 641
    assert not [part for part in network.modules() if isinstance(part, nn.Sigmoid)], "it gives logits"


def test_one_verdict_a_patch() -> None:
    network = PatchClassifier(width=2, patch_size=(8, 16, 24)).eval()
    x = torch.randn(3, 2, 8, 16, 24, generator=torch.Generator().manual_seed(0))
    verdicts = network(x)
    assert verdicts.shape == (3, 1)
    alone = torch.cat([network(each[None]) for each in x])
    assert torch.allclose(verdicts, alone, atol=1e-6)


@pytest.mark.parametrize("sides", [(12, 16, 16), (0, 8, 8), (32, 32, 4)])
def test_sides_that_cannot_be_halved_three_times_are_refused(sides: tuple[int, int, int]) -> None:
    rule = "--patch_size is .*, and the discriminator halves .*: give multiples of 8, for example .32, 32, 32."
    with pytest.raises(ConfigError, match=rule):
        PatchClassifier(patch_size=sides)
