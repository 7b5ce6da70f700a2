"""U-Net and patch discriminator: published sizes, worked out layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from common.errors import CheckpointError, ConfigError
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.unet import UNetGenerator


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_unet_256_has_the_published_54_4_million_parameters() -> None:
    # 4x4 kernels, in x out. Down: 3-64-128-256-512 and four times 512-512, without biases.
    down = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 4 * 512 * 512)
    # Up: the innermost sees 512 features, every other one twice as many by its skip; the last has a bias.
    up = 16 * (512 * 512 + 3 * 1024 * 512 + 1024 * 256 + 512 * 128 + 256 * 64 + 128 * 3) + 3
    # BatchNorm, scale and shift: levels 2 to 7 down, all but the last up.
    norms = 2 * (128 + 256 + 4 * 512) + 2 * (4 * 512 + 256 + 128 + 64)
    assert down + up + norms == 54_413_955
    assert _count(UNetGenerator(3, 3)) == 54_413_955


@pytest.mark.parametrize(("depth", "sides"), [(5, (32, 64)), (2, (12, 4)), (8, (256, 512))])
def test_sizes_channels_and_range(depth: int, sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = UNetGenerator(3, 2, depth=depth, width=4)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.weight.data.mul_(50)  # far into the saturation of tanh
    with torch.no_grad():
        output = network(torch.rand(2, 3, *sides) * 2 - 1)
    assert output.shape == (2, 2, *sides)
    assert output.min() >= -1
    assert output.max() <= 1
    assert output.abs().max() > 0.9


def test_one_slice_passes_the_one_pixel_bottleneck_in_training() -> None:
    # BatchNorm refuses a single value a channel, so the innermost level must have none
    network = UNetGenerator(width=2).train()
    assert network(torch.rand(1, 1, 256, 256)).shape == (1, 1, 256, 256)


def test_each_level_halves_and_its_skip_joins_where_sizes_meet() -> None:
    network = UNetGenerator(1, 1, depth=5, width=4)
    shapes: dict[str, tuple] = {}

    def note(name: str) -> Callable:
        return lambda module, given, made: shapes.update({name: (*given[0].shape[1:], *made.shape[1:])})

    for side, blocks in (("encoder", network.encoder), ("decoder", reversed(network.decoder))):
        for level, block in enumerate(blocks):
            block.register_forward_hook(note(f"{side}{level}"))
    network(torch.rand(2, 1, 32, 64))
    assert shapes == {
        "encoder0": (1, 32, 64, 4, 16, 32),
        "encoder1": (4, 16, 32, 8, 8, 16),
        "encoder2": (8, 8, 16, 16, 4, 8),
        "encoder3": (16, 4, 8, 32, 2, 4),
        "encoder4": (32, 2, 4, 32, 1, 2),
        "decoder4": (32, 1, 2, 32, 2, 4),
        "decoder3": (64, 2, 4, 16, 4, 8),
        "decoder2": (32, 4, 8, 8, 8, 16),
        "decoder1": (16, 8, 16, 4, 16, 32),
        "decoder0": (8, 16, 32, 1, 32, 64),
    }


def test_every_skip_carries_its_own_level() -> None:
    torch.manual_seed(0)
    network, image = UNetGenerator(1, 1, depth=4, width=4).eval(), torch.rand(1, 1, 16, 16)
    levels = [image]
    with torch.no_grad():
        for block in network.encoder:
            levels.append(block(levels[-1]))
        made = network.decoder[0](levels[4])
        for block, skip in zip(network.decoder[1:], levels[3:0:-1], strict=True):
            made = block(torch.cat([skip, made], dim=1))
        torch.testing.assert_close(network(image), made)


def test_dropout_is_in_three_inner_blocks_of_unet_256_and_in_none_of_depth_five() -> None:
    def levels(depth: int) -> list[int]:
        decoder = reversed(UNetGenerator(depth=depth, width=1, dropout=0.25).decoder)
        return [n for n, block in enumerate(decoder) if any(getattr(part, "p", None) == 0.25 for part in block)]

    assert levels(8) == [4, 5, 6]
    assert levels(7) == [4, 5]
    assert levels(5) == []


def test_torchscript_takes_a_dropout_that_is_a_whole_number() -> None:
    torch.manual_seed(0)
    network, image = UNetGenerator(depth=6, width=1, dropout=0, norm="instance").eval(), torch.rand(1, 1, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(network)(image), network(image))


def test_with_instance_norm_a_slice_has_its_own_statistics_in_training_and_inference_alike() -> None:
    torch.manual_seed(0)
    network, slices = UNetGenerator(depth=3, width=4, norm="instance"), torch.rand(2, 1, 16, 16)
    together = network.train()(slices)
    torch.testing.assert_close(network(slices[:1]), together[:1], rtol=0, atol=1e-6)
    torch.testing.assert_close(network.eval()(slices), together, rtol=0, atol=0)
    batch = UNetGenerator(depth=3, width=4).train()
    assert (batch(slices[:1]) - batch(slices)[:1]).abs().max() > 0.01
    assert _count(batch) == _count(network)


def test_weights_of_another_norm_are_refused() -> None:
    batch, instance = UNetGenerator(depth=3, width=4), UNetGenerator(depth=3, width=4, norm="instance")
    with pytest.raises(CheckpointError, match="weights do not fit UNetGenerator.*running_mean"):
        batch.load_state_dict(instance.state_dict(), strict=False)
    with pytest.raises(CheckpointError, match="weights do not fit UNetGenerator.*running_mean"):
        instance.load_state_dict(batch.state_dict(), strict=False)


def test_the_discriminator_has_the_published_parameters() -> None:
    # C64 (bias, no BatchNorm) - C128 - C256 - C512 (BatchNorm, no bias) - 1 (bias)
    kernels = 16 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    assert _count(PatchGanDiscriminator(6)) == kernels + (64 + 1) + 2 * (128 + 256 + 512) == 2_768_705


def _reach(layers: int, side: int) -> Tensor:
    """Rows and columns of the input that the central output depends on."""
    network = PatchGanDiscriminator(1, width=1, layers=layers).eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)  # positive weights and input: no path cancels another
    image = torch.ones(1, 1, side, side, requires_grad=True)
    output = network(image)
    output[0, 0, output.shape[2] // 2, output.shape[3] // 2].backward()
    assert image.grad is not None
    return torch.nonzero(image.grad[0, 0])


@pytest.mark.parametrize(("layers", "field"), [(3, 70), (1, 16), (2, 34)])
def test_receptive_field(layers: int, field: int) -> None:
    # backwards from one output: r = 4, then at stride 1 r + 3 = 7, then at stride 2 2 r + 2 = 16, 34, 70
    reached = _reach(layers, 256)
    assert (reached.amax(0) - reached.amin(0) + 1).tolist() == [field, field]
    assert len(reached) == field**2


@pytest.mark.parametrize(("layers", "side"), [(3, 24), (1, 6)])
def test_images_without_a_whole_patch_are_refused(layers: int, side: int) -> None:
    network = PatchGanDiscriminator(1, width=2, layers=layers)
    assert network(torch.zeros(1, 1, side, 40)).shape[2] == 1
    with pytest.raises(
        ConfigError, match=rf"gets images of 40 x {side - 1}, {side} a side are needed: raise --crop_si"
    ):
        network(torch.zeros(1, 1, 40, side - 1))


@pytest.mark.parametrize("network", [UNetGenerator(depth=6, width=16), PatchGanDiscriminator(2, width=32)])
def test_weights_start_at_a_spread_of_0_02(network: nn.Module) -> None:
    kernels = torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim == 4])
    scales = torch.cat([m.weight.detach() for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert float(kernels.std()) == pytest.approx(0.02, rel=0.01)
    assert float(kernels.mean()) == pytest.approx(0, abs=2e-4)
    assert float(scales.mean()) == pytest.approx(1, abs=0.01)
    biases = [p.detach() for name, p in network.named_parameters() if name.endswith("bias")]
    assert len(biases) > 3
    assert torch.count_nonzero(torch.cat(biases)) == 0


def test_a_scripted_unet_gives_the_same_image() -> None:
    torch.manual_seed(0)
    network = UNetGenerator(1, 1, depth=4, width=4).eval()
    image = torch.rand(2, 1, 16, 32)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(network)(image), network(image), rtol=0, atol=1e-6)
