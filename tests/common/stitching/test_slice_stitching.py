"""Slice-wise inference, compared with arithmetic done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import Compose, Invertd, Orientationd

from common.errors import ConfigError, DataError
from common.networks.slabs import slabs
from common.stitching import PlaneInferer, plane_axis

ODD = (13, 15, 17)


def volume(shape: tuple[int, ...] = ODD, channels: int = 1, batch: int = 1) -> torch.Tensor:
    return torch.randn((batch, channels, *shape), generator=torch.Generator().manual_seed(0))


def row(values: list[float]) -> torch.Tensor:
    """A volume (1, 1, N, 1, 1) whose sagittal slices are single voxels."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1, 1, 1)


class Recorder:
    """Identity that remembers the shapes it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, slices: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(slices.shape))
        return slices


@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
@pytest.mark.parametrize("roi_size", [None, (8, 8), (32, 8)])
def test_identity_returns_the_volume(plane, batch_size, blending, roi_size):
    inputs = volume(channels=2, batch=2)
    inferer = PlaneInferer(plane, 1, batch_size, 8, roi_size, overlap=0.5, blending=blending)
    outputs = inferer(inputs, torch.clone)  # MONAI weighs windows in place, which must not reach the input
    assert outputs.shape == inputs.shape
    # whole slices pass untouched; weighted windows are divided by the sum of their weights
    torch.testing.assert_close(outputs, inputs, rtol=0, atol=0 if roi_size is None else 1e-5)


def test_overlapping_windows_written_out():
    # Windows of 2 on a side of 4 with overlap 0.5 begin at 0, 1 and 2, so that along one axis the hits are 1, 2, 2, 1.
    # A network that returns its window's number (row-major over the 9 windows) averages by hand to the table below.
    numbers = iter(range(9))
    inferer = PlaneInferer("axial", 1, 1, 2, roi_size=(2, 2), overlap=0.5)
    outputs = inferer(torch.zeros(1, 1, 4, 4, 1), lambda window: torch.full_like(window, float(next(numbers))))
    expected = [[0.0, 0.5, 1.5, 2.0], [1.5, 2.0, 3.0, 3.5], [4.5, 5.0, 6.0, 6.5], [6.0, 6.5, 7.5, 8.0]]
    np.testing.assert_allclose(outputs[0, 0, :, :, 0], expected, atol=1e-6)


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


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_keep_the_order_of_the_remaining_axes(axis):
    inputs = volume(channels=1)[0]
    expected = np.moveaxis(inputs.numpy(), axis + 1, 0)[4:7]
    np.testing.assert_array_equal(slabs(inputs, axis, 1, range(4, 7)), expected)


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


def test_several_output_channels():
    outputs = PlaneInferer("axial", 1, 4, 4)(volume(), lambda slices: torch.cat([slices, 2 * slices], 1))
    torch.testing.assert_close(outputs, torch.cat([volume(), 2 * volume()], 1), rtol=0, atol=0)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int16])
def test_output_is_float32_for_any_input(dtype):
    inputs = torch.full((1, 1, 3, 4, 4), 3).to(dtype)
    outputs = PlaneInferer("sagittal", 1, 2, 4)(inputs, lambda slices: slices.float() / 2)
    assert outputs.dtype == torch.float32
    assert (outputs == 1.5).all()


@pytest.mark.parametrize("roi_size", [None, (4, 4)])
def test_bfloat16_predictions_accumulate_in_float32(roi_size):
    # 1 and 1.0078125 are neighbours in bfloat16: their mean 1.00390625 is representable in float32 alone.
    values = iter([1.0, 1.0078125, 1.0])
    inferer = PlaneInferer("sagittal", 3, 1, 4, roi_size)

    def network(slab: torch.Tensor) -> torch.Tensor:
        return torch.full_like(slab, next(values)).bfloat16()

    outputs = inferer(torch.zeros(1, 1, 3, 4, 4), network)
    assert outputs.dtype == torch.float32
    np.testing.assert_allclose(outputs[0, 0, 0], 1.00390625, rtol=0, atol=1e-7)


def test_geometry_is_handed_on_for_the_inversion():
    affine = np.array([[0, -2.0, 0, 90], [0, 0, 1.5, -80], [-3.0, 0, 0, 70], [0, 0, 0, 1]])  # axes point I, L, A
    own = MetaTensor(volume((5, 6, 7))[0], affine=torch.from_numpy(affine))
    preprocessing = Compose([Orientationd("image", axcodes="RAS", labels=None)])
    batch = list_data_collate([preprocessing({"image": own.clone()})])
    assert batch["image"].shape == (1, 1, 6, 7, 5)
    batch["pred"] = PlaneInferer("coronal", 1, 4, 4)(batch["image"], lambda slices: slices)
    item = decollate_batch(batch)[0]
    restored = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)(item)["pred"]
    np.testing.assert_array_equal(restored.array, own.array)
    np.testing.assert_array_equal(restored.affine, affine)


def test_no_gradient_is_kept():
    weight = torch.ones(1, requires_grad=True)
    assert not PlaneInferer("axial", 1, 4, 4)(volume((4, 4, 4)), lambda slices: slices * weight).requires_grad


def test_wrong_plane():
    with pytest.raises(ConfigError, match="--plane is 'transversal': choose sagittal, coronal or axial"):
        PlaneInferer("transversal")
    assert [plane_axis(plane) for plane in ("sagittal", "coronal", "axial")] == [0, 1, 2]


@pytest.mark.parametrize("neighbours", [0, 2, -1])
def test_even_neighbours(neighbours):
    with pytest.raises(ConfigError, match=f"neighbours is {neighbours}, not odd and positive"):
        PlaneInferer("axial", neighbours)


@pytest.mark.parametrize("shape", [(4, 4, 4), (1, 4, 4, 4), (1, 1, 4, 4, 4, 1)])
def test_wrong_dimensions(shape):
    with pytest.raises(DataError, match=r"^volume has shape .*, not \(batch, channel, X, Y, Z\)"):
        PlaneInferer()(torch.zeros(shape), lambda slices: slices)


@pytest.mark.parametrize("multiple_of", [0, 2.0, [[1, 2], [3, 4]]])
def test_sides_are_multiples_of_a_whole_number(multiple_of: object) -> None:
    with pytest.raises(ConfigError, match="multiple_of is .*, not a whole number above zero"):
        PlaneInferer("axial", multiple_of=multiple_of)  # type: ignore[arg-type]
