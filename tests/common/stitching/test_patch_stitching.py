"""Sliding-window inference, compared with arithmetic done by hand, with one pass and with MONAI's own inferer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, Invertd, Orientationd
from torch import nn
from torch.nn import functional as F

from common.errors import ConfigError, DataError
from common.stitching import PatchStitchingInferer
from common.stitching.sliding_windows import cheapest_cut, core

ODD = (13, 15, 17)


def volume(shape: tuple[int, ...] = ODD, channels: int = 1, batch: int = 1) -> torch.Tensor:
    return torch.randn((batch, channels, *shape), generator=torch.Generator().manual_seed(0))


def inferer(**settings: object) -> PatchStitchingInferer:
    """Windows of 8 every 4 voxels; 512 voxels at a time, so that mode fast cuts windows too."""
    defaults = {"roi_size": 8, "stride": 4, "receptive_field": 5, "max_voxels": 8**3, "progress": False}
    return PatchStitchingInferer(**{**defaults, **settings})  # type: ignore[arg-type]


def small_network(channels: int = 1) -> nn.Module:
    """Three convolutions with zeros around and biases; receptive field 1 + 2 + 2 * 2 + 2 = 9."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv3d(channels, 4, 3, padding=1), nn.LeakyReLU()),
        *(nn.Conv3d(4, 4, 3, padding=2, dilation=2), nn.LeakyReLU()),
        nn.Conv3d(4, 2, 3, padding=1),
    ).eval()


class Recorder:
    """Identity that remembers the shapes it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(patches.shape))
        return patches


@pytest.mark.parametrize("shape", [ODD, (8, 8, 8), (3, 5, 7), (13, 15, 1), (1, 1, 1), (1, 30, 9)])
@pytest.mark.parametrize("mode", ["faithful", "fast"])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_identity_returns_the_volume(shape, mode, blending, batch_size):
    inputs = volume(shape, channels=2, batch=2)
    before = inputs.clone()
    outputs = inferer(mode=mode, blending=blending, batch_size=batch_size)(inputs, lambda patches: patches)
    torch.testing.assert_close(outputs, before, rtol=0, atol=2e-6)
    assert torch.equal(inputs, before)


def test_overlapping_windows_written_out():
    # Windows of 2 on a side of 4 with stride 1 begin at 0, 1 and 2, so that along one axis the hits are 1, 2, 2, 1.
    # A network that returns its window's number (row-major over the 9 windows) averages by hand to the table below.
    numbers = iter(range(9))
    stitch = PatchStitchingInferer(roi_size=(2, 2, 1), stride=1, batch_size=1, progress=False)
    outputs = stitch(torch.zeros(1, 1, 4, 4, 1), lambda window: torch.full_like(window, float(next(numbers))))
    expected = [[0.0, 0.5, 1.5, 2.0], [1.5, 2.0, 3.0, 3.5], [4.5, 5.0, 6.0, 6.5], [6.0, 6.5, 7.5, 8.0]]
    np.testing.assert_allclose(outputs[0, 0, :, :, 0], expected, atol=1e-6)


def test_a_last_window_is_moved_back_inside():
    # Windows of 3 every 2 voxels on 6 begin at 0, 2 and, since 4 would overhang, at 3.
    numbers = iter([0.0, 10.0, 20.0])
    stitch = PatchStitchingInferer(roi_size=(3, 1, 1), stride=(2, 1, 1), batch_size=1, progress=False)
    assert [window[0].start for window in stitch.windows((6, 1, 1))] == [0, 2, 3]
    outputs = stitch(torch.zeros(1, 1, 6, 1, 1), lambda window: torch.full_like(window, next(numbers)))
    np.testing.assert_allclose(outputs.flatten(), [0, 0, (0 + 10) / 2, (10 + 20) / 2, (10 + 20) / 2, 20], atol=1e-5)


def test_gaussian_blending_prefers_centres():
    # Two windows of 4 on a row of 6; voxel 2 is nearer the first one's centre, voxel 3 nearer the second one's.
    numbers = iter([0.0, 1.0])
    stitch = PatchStitchingInferer(
        roi_size=(4, 1, 1), stride=(2, 1, 1), blending="gaussian", batch_size=1, progress=False
    )
    outputs = stitch(torch.zeros(1, 1, 6, 1, 1), lambda window: torch.full_like(window, next(numbers))).flatten()
    assert outputs[2] < 0.5 < outputs[3]
    assert outputs[2] + outputs[3] == pytest.approx(1, abs=1e-6)


def test_as_many_windows_as_published():
    # Nie et al. 2018: 32^3 patches every 8 voxels; (128 - 32) / 8 + 1 = 13 and (224 - 32) / 8 + 1 = 25
    windows = PatchStitchingInferer().windows((128, 224, 224))
    assert len(windows) == 13 * 25 * 25 == 8125
    assert all(side.stop - side.start == 32 for side in itertools.chain(*windows))
    assert {window[0].start for window in windows} == set(range(0, 97, 8))
    assert PatchStitchingInferer(stride=None, overlap=0.75).windows((128, 224, 224)) == windows


@pytest.mark.parametrize("stride", range(1, 10))
def test_strides_are_kept_to_the_voxel(stride):
    # 1 - stride / 9 is not exact in binary: the windows that the network sees must still begin every `stride` voxels
    seen: list[float] = []

    def network(window: torch.Tensor) -> torch.Tensor:
        seen.append(float(window.flatten()[0]))
        return window

    inputs = torch.arange(100.0).reshape(1, 1, 100, 1, 1)
    PatchStitchingInferer(roi_size=(9, 1, 1), stride=(stride, 1, 1), batch_size=1, progress=False)(inputs, network)
    assert seen == sorted({*range(0, 91, stride), 91})


@pytest.mark.parametrize("shape", [ODD, (8, 9, 20), (3, 30, 9)])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
def test_equal_to_the_inferer_of_monai(shape, blending):
    network, inputs = small_network(), volume(shape, batch=2)
    with torch.no_grad():
        expected = SlidingWindowInferer((8, 8, 8), 2, 0.75, blending, cval=-1.0)(inputs, network)
    outputs = inferer(stride=2, blending=blending, cval=-1.0)(inputs, network)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 30, 13), (13, 13, 13), (41, 5, 12), (12, 40, 1)])
@pytest.mark.parametrize("max_voxels", [11**3, 16**3, 10**6])
def test_fast_equals_one_pass(shape, max_voxels):
    network, inputs = small_network(2), volume(shape, channels=2, batch=2)
    stitch = inferer(mode="fast", receptive_field=9, max_voxels=max_voxels)
    with torch.no_grad():
        expected = network(inputs)
    torch.testing.assert_close(stitch(inputs, network), expected, rtol=0, atol=2e-5)
    sizes = [np.prod([side.stop - side.start for side in window]) for window in stitch.windows(shape)]
    assert max(sizes) <= max_voxels
    assert (len(sizes) == 1) == (np.prod(shape) <= max_voxels)


def test_fast_keeps_the_grid_of_a_pooling_network():
    def network(patches: torch.Tensor) -> torch.Tensor:
        return F.interpolate(F.avg_pool3d(patches, 4), scale_factor=4, mode="nearest")

    inputs = volume((40, 16, 8))
    stitch = inferer(mode="fast", receptive_field=7, multiple_of=4, max_voxels=12**3)
    assert len(stitch.windows((40, 16, 8))) > 1
    torch.testing.assert_close(stitch(inputs, network), network(inputs), rtol=0, atol=2e-5)


def test_cheapest_cut_by_hand():
    # 10 voxels, halo 1: two windows of (10 + 2) / 2 = 6, the second one from 6 - 2 = 4 on
    assert cheapest_cut((10, 1, 1), 1, 6) == ((10, 1, 1), (6, 1, 1), (4, 1, 1))
    # no window of more than 5: three of 5, since (10 + 2 * 2) / 3 = 4.67; four of 4 would be 16 voxels instead of 15
    assert cheapest_cut((10, 1, 1), 1, 5) == ((10, 1, 1), (5, 1, 1), (3, 1, 1))
    # sides of multiples of 4: the volume is padded to 12, the halo is 4, windows are 12 at least, that is one
    assert cheapest_cut((10, 1, 1), 1, 12 * 4 * 4, 4) == ((12, 4, 4), (12, 4, 4), (12, 4, 4))


@pytest.mark.parametrize("shape", [(20, 30, 13), (9, 40, 5)])
@pytest.mark.parametrize("halo", [0, 1, 4])
def test_cores_cover_each_voxel(shape, halo):
    cut, hits = cheapest_cut(shape, halo, 1000), np.zeros(shape)
    for window in cut.windows():
        hits[core(window, cut.size, halo)] += 1
    assert len(cut.windows()) > 1
    assert hits.min() == 1


def test_fast_on_the_published_volume():
    # 2^21 voxels hold 128 x 141 x 114: one, two and three windows along the axes with halos of 29
    windows = PatchStitchingInferer(mode="fast").windows((128, 224, 224))
    assert len(windows) == 6
    assert sorted(side.stop - side.start for side in windows[0]) == [114, 128, 141]


def test_never_more_than_the_voxels_allowed():
    network = Recorder()
    inferer(batch_size=8, max_voxels=3 * 8**3)(volume(), network)
    assert max(shape[0] for shape in network.shapes) == 3
    assert {shape[1:] for shape in network.shapes} == {(1, 8, 8, 8)}


def test_padding_holds_each_channels_background():
    # rows of 2 padded to 4 by their own minima: (1 + 3 + 1 + 1) / 4 and (-5 + 7 - 5 - 5) / 4; by cval: (1 + 3) / 4 ...
    inputs = torch.tensor([[1.0, 3.0], [-5.0, 7.0]]).reshape(1, 2, 2, 1, 1)

    def mean(patches: torch.Tensor) -> torch.Tensor:
        return patches.mean((2, 3, 4), keepdim=True).expand_as(patches)

    for cval, expected in ((None, [1.5, -2.0]), (0.0, [1.0, 0.5])):
        outputs = PatchStitchingInferer(roi_size=(4, 1, 1), stride=1, cval=cval, progress=False)(inputs, mean)
        assert outputs.shape == (1, 2, 2, 1, 1)
        np.testing.assert_allclose(outputs[0, :, :, 0, 0], np.repeat([expected], 2, 0).T, atol=1e-6)


def test_the_background_is_that_of_each_volume():
    inputs = torch.stack([torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 6.0)])
    outputs = inferer()(inputs, lambda patches: patches.mean((2, 3, 4), keepdim=True).expand_as(patches))
    assert outputs.flatten().tolist() == [2, 6]


def test_several_output_channels():
    outputs = inferer()(volume(), lambda patches: torch.cat([patches, 2 * patches], 1))
    torch.testing.assert_close(outputs, torch.cat([volume(), 2 * volume()], 1), rtol=0, atol=4e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int16])
def test_the_network_sees_the_inputs_type_and_sums_are_float32(dtype):
    def network(patches: torch.Tensor) -> torch.Tensor:
        assert patches.dtype == dtype
        return patches.float() / 2

    outputs = inferer()(torch.full((1, 1, 9, 4, 4), 3).to(dtype), network)
    assert outputs.dtype == torch.float32
    assert (outputs == 1.5).all()


def test_bfloat16_predictions_accumulate_in_float32():
    # 1 and 1.0078125 are neighbours in bfloat16: their mean 1.00390625 is representable in float32 alone.
    values = iter([1.0, 1.0078125])
    stitch = PatchStitchingInferer(roi_size=(4, 1, 1), stride=(2, 1, 1), batch_size=1, progress=False)
    outputs = stitch(torch.zeros(1, 1, 6, 1, 1), lambda window: torch.full_like(window, next(values)).bfloat16())
    np.testing.assert_allclose(outputs.flatten()[2:4], 1.00390625, rtol=0, atol=1e-7)


def test_further_arguments_reach_the_network():
    outputs = inferer()(volume(), lambda patches, factor, shift: patches * factor + shift, 2, shift=1)
    torch.testing.assert_close(outputs, 2 * volume() + 1, rtol=0, atol=2e-6)


def test_geometry_is_handed_on_for_the_inversion():
    affine = np.array([[0, -2.0, 0, 90], [0, 0, 1.5, -80], [-3.0, 0, 0, 70], [0, 0, 0, 1]])  # axes point I, L, A
    own = MetaTensor(volume((5, 6, 7))[0], affine=torch.from_numpy(affine))
    preprocessing = Compose([Orientationd("image", axcodes="RAS", labels=None)])
    batch = list_data_collate([preprocessing({"image": own.clone()})])
    batch["pred"] = inferer()(batch["image"], lambda patches: patches)
    item = decollate_batch(batch)[0]
    restored = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)(item)["pred"]
    np.testing.assert_allclose(restored.array, own.array, atol=1e-6)
    np.testing.assert_array_equal(restored.affine, affine)


def test_no_gradient_is_kept():
    weight = torch.ones(1, requires_grad=True)
    assert not inferer()(volume(), lambda patches: patches * weight).requires_grad


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "quick"}, "mode is 'quick': choose faithful or fast"),
        ({"blending": "linear"}, "blending is 'linear': choose constant or gaussian"),
        ({"roi_size": (8, 0, 8)}, r"roi_size is \(8, 0, 8\), not positive"),
        ({"roi_size": 8, "multiple_of": 16}, r"roi_size is \(8, 8, 8\), not a multiple of 16"),
        ({"stride": 9}, r"stride is \(9, 9, 9\), not between 1 and roi_size \(8, 8, 8\)"),
        ({"stride": (4, 0, 4)}, r"stride is \(4, 0, 4\), not between 1 and roi_size"),
        ({"stride": None}, "stride is None and overlap None: set one of them"),
        ({"overlap": 0.5}, "stride is 4 and overlap 0.5: set one of them, and the other to null"),
        ({"stride": None, "overlap": 1.0}, r"overlap is 1.0, not in \[0, 1\)"),
        ({"stride": None, "overlap": -0.1}, r"overlap is -0.1, not in \[0, 1\)"),
        ({"max_voxels": 511}, r"max_voxels is 511, below a window of roi_size \(8, 8, 8\), 512 voxels: raise it"),
        ({"mode": "fast", "receptive_field": 0}, "receptive_field is 0, not positive"),
        ({"batch_size": 0}, "batch_size is 0, not positive"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        inferer(**settings)


def test_fast_windows_narrower_than_the_receptive_field():
    with pytest.raises(ConfigError, match=r"^max_voxels is .*, too few for a window .* of \(30, 30, 30\)"):
        inferer(mode="fast", receptive_field=17)(volume((30, 30, 30)), torch.clone)


def test_wrong_dimensions():
    with pytest.raises(DataError, match=r"volume has shape \(1, 4, 4, 4\), not \(batch, channel, X, Y, Z\)"):
        inferer()(torch.zeros(1, 4, 4, 4), torch.clone)


def test_outputs_of_another_size():
    with pytest.raises(ConfigError, match=r"--network_def returns \(6, 6, 6\) for an input of \(8, 8, 8\)"):
        inferer()(volume(), lambda patches: patches[..., 1:-1, 1:-1, 1:-1])
