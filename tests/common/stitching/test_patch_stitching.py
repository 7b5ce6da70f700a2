"""Sliding windows and slices: inference compared with arithmetic by hand, with one pass and with MONAI's inferer."""

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
from common.networks.slabs import slabs
from common.stitching import PatchStitchingInferer, PlaneInferer, plane_axis
from common.stitching.sliding_windows import cheapest_cut

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


@pytest.mark.parametrize(
    "stitch",
    [
        PatchStitchingInferer(roi_size=(2, 2, 1), stride=1, batch_size=1, progress=False),
        PlaneInferer("axial", 1, 1, 2, roi_size=(2, 2), overlap=0.5),
    ],
    ids=["patches", "slices"],
)
def test_overlapping_windows_written_out(stitch):
    # Windows of 2 on a side of 4 with stride 1 begin at 0, 1 and 2, so that along one axis the hits are 1, 2, 2, 1.
    # A network that returns its window's number (row-major over the 9 windows) averages by hand to the table below.
    numbers = iter(range(9))
    outputs = stitch(torch.zeros(1, 1, 4, 4, 1), lambda window: torch.full_like(window, float(next(numbers))))
    expected = [[0.0, 0.5, 1.5, 2.0], [1.5, 2.0, 3.0, 3.5], [4.5, 5.0, 6.0, 6.5], [6.0, 6.5, 7.5, 8.0]]
    np.testing.assert_allclose(outputs[0, 0, :, :, 0], expected, atol=1e-6)


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


BOTH = pytest.mark.parametrize("stitch", [inferer(), PlaneInferer("axial", 1, 4, 4)], ids=["patches", "slices"])


@BOTH
def test_several_output_channels(stitch):
    outputs = stitch(volume(), lambda patches: torch.cat([patches, 2 * patches], 1))
    torch.testing.assert_close(outputs, torch.cat([volume(), 2 * volume()], 1), rtol=0, atol=4e-6)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int16])
def test_the_network_sees_the_inputs_type_and_sums_are_float32(stitch, dtype):
    def network(patches: torch.Tensor) -> torch.Tensor:
        assert patches.dtype == dtype
        return patches.float() / 2

    outputs = stitch(torch.full((1, 1, 9, 4, 4), 3).to(dtype), network)
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


@BOTH
def test_geometry_is_handed_on_for_the_inversion(stitch):
    affine = np.array([[0, -2.0, 0, 90], [0, 0, 1.5, -80], [-3.0, 0, 0, 70], [0, 0, 0, 1]])  # axes point I, L, A
    own = MetaTensor(volume((5, 6, 7))[0], affine=torch.from_numpy(affine))
    preprocessing = Compose([Orientationd("image", axcodes="RAS", labels=None)])
    batch = list_data_collate([preprocessing({"image": own.clone()})])
    batch["pred"] = stitch(batch["image"], lambda patches: patches)
    item = decollate_batch(batch)[0]
    restored = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)(item)["pred"]
    np.testing.assert_allclose(restored.array, own.array, atol=1e-6)
    np.testing.assert_array_equal(restored.affine, affine)


@BOTH
def test_no_gradient_is_kept(stitch):
    weight = torch.ones(1, requires_grad=True)
    assert not stitch(volume(), lambda patches: patches * weight).requires_grad


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


def test_windows_in_a_plane_fit_the_depth_of_the_network():
    with pytest.raises(ConfigError, match=r"^roi_size is \(50, 50\), not a multiple of 32: change --tile"):
        PlaneInferer("axial", multiple_of=32, roi_size=50)


def test_fast_windows_narrower_than_the_receptive_field():
    with pytest.raises(ConfigError, match=r"^max_voxels is .*, too few for a window .* of \(30, 30, 30\)"):
        inferer(mode="fast", receptive_field=17)(volume((30, 30, 30)), torch.clone)


@BOTH
@pytest.mark.parametrize("shape", [(1, 4, 4, 4), (1, 1, 4, 4, 4, 1)])
def test_wrong_dimensions(stitch, shape):
    with pytest.raises(DataError, match=r"^volume has shape .*, not \(batch, channel, X, Y, Z\)"):
        stitch(torch.zeros(shape), torch.clone)


def test_outputs_of_another_size():
    with pytest.raises(ConfigError, match=r"--network_def returns \(6, 6, 6\) for an input of \(8, 8, 8\)"):
        inferer()(volume(), lambda patches: patches[..., 1:-1, 1:-1, 1:-1])


def row(values: list[float]) -> torch.Tensor:
    """A volume (1, 1, N, 1, 1) whose sagittal slices are single voxels."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1, 1, 1)


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
@pytest.mark.parametrize("roi_size", [None, (8, 8), (32, 8)])
def test_slices_of_the_identity_are_the_volume(plane, batch_size, blending, roi_size):
    inputs = volume(channels=2, batch=2)
    inferer = PlaneInferer(plane, 1, batch_size, 8, roi_size, overlap=0.5, blending=blending)
    outputs = inferer(inputs, torch.clone)  # MONAI weighs windows in place, which must not reach the input
    assert outputs.shape == inputs.shape
    # whole slices pass untouched; weighted windows are divided by the sum of their weights
    torch.testing.assert_close(outputs, inputs, rtol=0, atol=0 if roi_size is None else 1e-5)


def test_gaussian_blending_prefers_centres():
    # Two windows of 4 on a row of 6; voxel 2 is nearer the first one's centre, voxel 3 nearer the second one's.
    numbers = iter([0.0, 1.0])
    inferer = PlaneInferer("axial", 1, 1, 4, roi_size=(4, 4), overlap=0.5, blending="gaussian")
    outputs = inferer(torch.zeros(1, 1, 6, 4, 1), lambda window: torch.full_like(window, next(numbers)))[0, 0, :, 0, 0]
    assert outputs[2] < 0.5 < outputs[3]
    assert outputs[2] + outputs[3] == pytest.approx(1, abs=1e-6)


def test_slabs_by_hand():
    # Channel c of slice i holds 10 c + i; slabs of 3 around slices 0 and 4 of 5, ends repeated.
    rows = torch.tensor([[0.0, 1, 2, 3, 4], [10, 11, 12, 13, 14]])
    result = slabs(rows[:, :, None, None], axis=0, neighbours=3, centres=range(0, 5, 4))
    assert result.shape == (2, 6, 1, 1)
    assert result[..., 0, 0].tolist() == [[0, 0, 1, 10, 10, 11], [3, 4, 4, 13, 14, 14]]


def test_a_central_slice_network_sees_its_neighbours():
    # mean of slices i-1, i, i+1 with repeated ends: (1+1+2)/3, (1+2+6)/3, (2+6+6)/3
    outputs = PlaneInferer("sagittal", 3, 2, 1)(row([1, 2, 6]), lambda slab: slab.mean(1, keepdim=True))
    np.testing.assert_allclose(outputs.flatten(), [4 / 3, 3, 14 / 3], atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_whole_slabs_are_averaged_by_hand(batch_size):
    # The network adds 30, 0, -15 to the slab's slices below, at and above its centre. Slice 0 is predicted as the
    # centre of slab 0 and the lower neighbour of slab 1; slice 4 as the centre of slab 4 and the upper neighbour of
    # slab 3; the others by all three. Repeated slices beyond the ends are not averaged in.
    shift = torch.tensor([30.0, 0, -15]).reshape(1, 3, 1, 1)
    outputs = PlaneInferer("sagittal", 3, batch_size, 1)(row([0, 1, 2, 3, 4]), lambda slab: slab + shift)
    np.testing.assert_allclose(outputs.flatten(), [0 + 15, 1 + 5, 2 + 5, 3 + 5, 4 - 7.5], atol=1e-6)


def test_padding_holds_cval():
    # 3 x 3 slices of ones padded to 4 x 4 by -1: the mean is (9 - 7) / 16; through one window of 4 the same
    for roi_size in (None, (4, 4)):
        inferer = PlaneInferer("axial", 1, 2, 4, roi_size=roi_size, cval=-1.0)
        mean = inferer(torch.ones(1, 1, 3, 3, 2), lambda s: s.mean((2, 3), keepdim=True).expand_as(s).contiguous())
        assert mean.shape == (1, 1, 3, 3, 2)
        np.testing.assert_allclose(mean, 0.125, atol=1e-6)


def test_padding_without_cval_holds_the_minimum_of_the_volume():
    # the second slice, 3 x 3 twos, is padded to 4 x 4 by the one of the first: (18 + 7) / 16
    slices = torch.stack([torch.ones(3, 3), torch.full((3, 3), 2.0)], dim=-1)[None, None]
    inferer = PlaneInferer("axial", 1, 1, 4, cval=None)
    mean = inferer(slices, lambda s: s.mean((2, 3), keepdim=True).expand_as(s).contiguous())
    np.testing.assert_allclose(mean[0, 0, 0, 0], [1, 25 / 16], atol=1e-6)


@pytest.mark.parametrize(("roi_size", "plane_shape"), [(None, (16, 24)), ((8, 8), (8, 8))])
def test_never_more_than_one_batch(roi_size, plane_shape):
    network = Recorder()
    PlaneInferer("sagittal", 3, 4, 8, roi_size)(volume(), lambda slab: network(slab)[:, 1:2])
    counts, shapes = {shape[0] for shape in network.shapes}, {shape[1:] for shape in network.shapes}
    assert max(counts) == 4
    assert shapes == {(3, *plane_shape)}
    if roi_size is None:
        assert [shape[0] for shape in network.shapes] == [4, 4, 4, 1]


@pytest.mark.parametrize("roi_size", [None, (4, 4)])
def test_bfloat16_slabs_accumulate_in_float32(roi_size):
    # 1 and 1.0078125 are neighbours in bfloat16: their mean 1.00390625 is representable in float32 alone.
    values = iter([1.0, 1.0078125, 1.0])
    inferer = PlaneInferer("sagittal", 3, 1, 4, roi_size)

    def network(slab: torch.Tensor) -> torch.Tensor:
        return torch.full_like(slab, next(values)).bfloat16()

    outputs = inferer(torch.zeros(1, 1, 3, 4, 4), network)
    assert outputs.dtype == torch.float32
    np.testing.assert_allclose(outputs[0, 0, 0], 1.00390625, rtol=0, atol=1e-7)


def test_wrong_plane():
    with pytest.raises(ConfigError, match="--plane is 'transversal': choose sagittal, coronal or axial"):
        PlaneInferer("transversal")
    assert [plane_axis(plane) for plane in ("sagittal", "coronal", "axial")] == [0, 1, 2]


@pytest.mark.parametrize("neighbours", [0, 2, -1])
def test_even_neighbours(neighbours):
    with pytest.raises(ConfigError, match=f"neighbours is {neighbours}, not odd and positive"):
        PlaneInferer("axial", neighbours)


@pytest.mark.parametrize("multiple_of", [0, 2.0, [[1, 2], [3, 4]]])
def test_sides_are_multiples_of_a_whole_number(multiple_of: object) -> None:
    with pytest.raises(ConfigError, match="multiple_of is .*, not a whole number above zero"):
        PlaneInferer("axial", multiple_of=multiple_of)  # type: ignore[arg-type]
