"""Convolution in the frequency domain against the direct one, and the choice of tiles."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from monai.data import MetaTensor
from pd2t2_dcgan_acm.dilated import spectral
from pd2t2_dcgan_acm.dilated.plan import SPECTRUM_BYTES, Axis, DilationPlan, best_plan
from pd2t2_dcgan_acm.dilated.spectral import SpectralConv3d, learning_conv3d, spectral_conv3d, weight_spectrum
from torch import nn
from torch.nn import functional as F

TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest value."""


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_close(result: torch.Tensor, expected: torch.Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= TOLERANCE * expected.abs().max()


def large(**settings: object) -> SpectralConv3d:
    """A layer large enough to take the frequency domain on 20 voxels a side."""
    torch.manual_seed(0)
    return SpectralConv3d(8, 8, 9, **{"dilation": 2, "padding": 8, **settings}).eval()


@pytest.mark.parametrize("convolve", [spectral_conv3d, learning_conv3d])
@pytest.mark.parametrize("tiles", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("dilation", [(1, 1, 1), (2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 1, 7)])
@pytest.mark.parametrize("lengths", [(12, 12, 12), (13, 15, 17), (1, 2, 9)])
def test_equal_to_the_direct_convolution(convolve, tiles, dilation, kernel, lengths):
    inputs, weight, bias = noise(2, 3, *lengths), noise(4, 3, *kernel, seed=1), noise(4, seed=2)
    axes = tuple(Axis(n, d, k // 2, t) for n, d, k, t in zip(lengths, dilation, kernel, tiles, strict=True))
    plan = DilationPlan(axes, 3, 4)
    padding = [d * (k // 2) for d, k in zip(dilation, kernel, strict=True)]
    result = convolve(inputs, weight_spectrum(weight, plan), bias, plan)
    assert_close(result, F.conv3d(inputs, weight, bias, padding=padding, dilation=dilation))


@pytest.mark.parametrize("working_bytes", [1, 20_000, 2**26])
def test_few_tiles_at_a_time_give_the_same(working_bytes, monkeypatch):
    monkeypatch.setattr(spectral, "WORKING_BYTES", working_bytes)
    inputs, weight = noise(2, 2, 9, 10, 11), noise(2, 2, 3, 3, 3, seed=1)
    plan = DilationPlan((Axis(9, 2, 1, 2), Axis(10, 2, 1, 1), Axis(11, 2, 1, 2)), 2, 2)
    result = spectral_conv3d(inputs, weight_spectrum(weight, plan), None, plan)
    assert_close(result, F.conv3d(inputs, weight, padding=2, dilation=2))


@pytest.mark.parametrize("shape", [(1, 8, 20, 20, 20), (2, 8, 17, 21, 19), (1, 8, 40, 18, 18), (1, 8, 5, 20, 40)])
@pytest.mark.parametrize("settings", [{}, {"padding": "same"}, {"dilation": 1, "padding": 4}, {"bias": False}])
def test_layer_equal_to_conv3d(shape, settings):
    layer, inputs = large(**settings), noise(*shape)
    direct = nn.Conv3d(8, 8, 9, **{"dilation": 2, "padding": 8, **settings}).eval()
    direct.load_state_dict(layer.state_dict())
    with torch.no_grad():
        result = layer(inputs)
        assert layer._spectrum is not None
        assert_close(result, direct(inputs))


@pytest.mark.parametrize(
    "settings",
    [{"stride": 2}, {"groups": 2}, {"padding": 0}, {"padding_mode": "replicate"}, {"kernel_size": 8}],
)
def test_other_settings_are_the_direct_convolution(settings):
    torch.manual_seed(0)
    arguments = {"kernel_size": 9, "dilation": 2, "padding": 8, **settings}
    layer, direct = SpectralConv3d(8, 8, **arguments).eval(), nn.Conv3d(8, 8, **arguments).eval()
    direct.load_state_dict(layer.state_dict())
    with torch.no_grad():
        assert torch.equal(layer(noise(1, 8, 20, 20, 20)), direct(noise(1, 8, 20, 20, 20)))
    assert layer._spectrum is None


def _in_place(layer: SpectralConv3d) -> None:
    layer.weight.mul_(2)


def _loaded(layer: SpectralConv3d) -> None:
    layer.load_state_dict({key: value + 1 for key, value in layer.state_dict().items()})


def _replaced(layer: SpectralConv3d) -> None:
    layer.weight = nn.Parameter(layer.weight + 1)


def _swapped(layer: SpectralConv3d) -> None:
    layer.weight.data = layer.weight.data + 1


def _swapped_twice(layer: SpectralConv3d) -> None:
    for _ in range(2):  # were the first weight freed, the third could take its address
        layer.weight.data = layer.weight.data + 1


def _retrained(layer: SpectralConv3d) -> None:
    layer.train().weight.data.mul_(2)
    layer.eval()


@pytest.mark.parametrize("change", [_in_place, _loaded, _replaced, _swapped, _swapped_twice, _retrained])
def test_changed_weights_give_a_new_result(change):
    layer, inputs = large(), noise(1, 8, 20, 20, 20)
    with torch.no_grad():
        before = layer(inputs)
        change(layer)
        after = layer(inputs)
        assert_close(after, F.conv3d(inputs, layer.weight, layer.bias, padding=8, dilation=2))
        assert (after - before).abs().max() > 0.1


def test_the_spectrum_is_kept_while_the_weight_lasts():
    layer = large()
    with torch.no_grad():
        layer(noise(1, 8, 20, 20, 20))
        first = layer._spectrum
        layer(noise(2, 8, 20, 20, 20))
        assert layer._spectrum is first  # whatever the batch
        layer(noise(1, 8, 22, 20, 20))
        assert layer._spectrum is not first
    assert layer.train()._spectrum is None


def test_nothing_but_weight_and_bias_is_saved():
    layer = large()
    with torch.no_grad():
        expected = layer(noise(1, 8, 20, 20, 20))
    assert list(layer.state_dict()) == ["weight", "bias"]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin._spectrum is None
        with torch.no_grad():
            assert torch.equal(twin(noise(1, 8, 20, 20, 20)), expected)
    assert layer._spectrum is not None


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_conv3d(training):
    layer, inputs = large().train(training), noise(1, 8, 12, 12, 12).requires_grad_()
    twin = inputs.detach().clone().requires_grad_()
    weight, bias = layer.weight.detach().clone().requires_grad_(), layer.bias.detach().clone().requires_grad_()
    layer(inputs).square().sum().backward()
    F.conv3d(twin, weight, bias, padding=8, dilation=2).square().sum().backward()
    assert layer._spectrum is None
    for own, expected in ((inputs, twin), (layer.weight, weight), (layer.bias, bias)):
        assert own.grad is not None
        assert_close(own.grad, expected.grad)


def test_scripts_and_traces_are_direct():
    layer, inputs = large(), noise(1, 8, 20, 20, 20)
    with torch.no_grad():
        fast = layer(inputs)
        direct = F.conv3d(inputs, layer.weight, layer.bias, padding=8, dilation=2)
        assert not torch.equal(fast, direct)  # or the next lines would prove nothing
        assert torch.equal(torch.jit.script(layer)(inputs), direct)
        assert torch.equal(torch.jit.trace(layer, inputs)(inputs), direct)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_direct(dtype):
    layer, inputs = large().to(dtype), noise(1, 8, 20, 20, 20).to(dtype)
    with torch.no_grad():
        result = layer(inputs)
        assert result.dtype == dtype
        assert torch.equal(result, F.conv3d(inputs, layer.weight, layer.bias, padding=8, dilation=2))


def test_weights_of_inference_mode_are_direct():
    with torch.inference_mode():
        layer = large()
        result = layer(noise(1, 8, 20, 20, 20))
        expected = F.conv3d(noise(1, 8, 20, 20, 20), layer.weight, layer.bias, padding=8, dilation=2)
    assert torch.equal(result, expected)


def test_geometry_is_handed_on():
    affine = torch.diag(torch.tensor([2.0, 3, 4, 1], dtype=torch.float64))
    layer, inputs = large(), noise(1, 8, 20, 20, 20)
    with torch.no_grad():
        result = layer(MetaTensor(inputs, affine=affine))
        assert isinstance(result, MetaTensor)
        assert torch.equal(result.affine, affine)
        assert torch.equal(result.as_tensor(), layer(inputs))


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
