"""The tolerant distance: values by hand, what it forgives and what it does not, its slope, its memory."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from host_reads import META, no_host_reads
from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import TolerantL1, l1


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tolerant(radius: int, reduction: str = "mean") -> TolerantL1:
    """The loss without its share of the plain one."""
    return TolerantL1(radius, 0.0, reduction)


def blocks(*sides: int) -> Tensor:
    """Boxes of several values in a background of 0, eight voxels from the border."""
    image = torch.zeros(1, 1, *sides)
    inside = (slice(8, -8),) * len(sides)
    image[(..., *inside)] = 1
    image[(..., *inside[:-1], slice(8, sides[-1] // 2))] = 3
    return image


def moved(image: Tensor, *steps: int) -> Tensor:
    """The image rolled along its spatial axes; its border is background."""
    return image.roll(steps, tuple(range(2, image.ndim)))


def defined(ours: Tensor, theirs: Tensor, radius: int) -> Tensor:
    """The loss of 2-D images voxel by voxel, as its formula says it; differentiable."""
    _, _, height, width = ours.shape

    def error(sample: int, y: int, x: int, dy: int, dx: int) -> Tensor:
        inside = 0 <= y + dy < height and 0 <= x + dx < width
        there = theirs[sample, :, y + dy, x + dx] if inside else theirs[sample, :, y, x]
        return (ours[sample, :, y, x] - there).abs().mean()

    shifts, places = list(product(range(-radius, radius + 1), repeat=2)), list(product(range(height), range(width)))
    errors = [
        torch.stack([torch.stack([error(n, y, x, *shift) for y, x in places]).mean() for shift in shifts])
        for n in range(len(ours))
    ]
    return torch.stack(errors).amin(dim=1).mean()


# ---- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_radius_0_is_l1_itself(reduction: str) -> None:
    ours, theirs = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    assert torch.equal(TolerantL1(0, reduction=reduction)(ours, theirs), l1(ours, theirs, reduction))


def test_by_hand() -> None:
    """An edge between columns 1 and 2 of the image and 2 and 3 of the target, which differ in one of six columns.

    Taken from the right, the target differs nowhere; its last column has nothing on its right and the value of the
    image there. Against an edge twice as high four of six columns differ by 1.
    """
    ours = torch.tensor([0.0, 0, 1, 1, 1, 1]).expand(1, 1, 4, 6)
    theirs = torch.tensor([0.0, 0, 0, 1, 1, 1]).expand(1, 1, 4, 6)
    assert float(l1(ours, theirs)) == pytest.approx(1 / 6)
    assert float(tolerant(1)(ours, theirs)) == 0
    assert float(tolerant(1)(2 * ours, theirs)) == pytest.approx(4 / 6)
    assert float(tolerant(1, reduction="sum")(2 * ours, theirs)) == pytest.approx(24 * 4 / 6)
    assert float(TolerantL1(1, 0.2)(ours, theirs)) == pytest.approx(0.2 / 6)


@pytest.mark.parametrize(("radius", "plain_share"), [(1, 0.0), (2, 0.3)])
def test_value_and_slope_are_those_of_the_formula(radius: int, plain_share: float) -> None:
    ours, theirs = noise(2, 2, 5, 6).double().requires_grad_(), noise(2, 2, 5, 6, seed=1).double()
    value = (1 - plain_share) * defined(ours, theirs, radius) + plain_share * (ours - theirs).abs().mean()
    (wanted,) = torch.autograd.grad(value, ours)
    (found,) = torch.autograd.grad(loss := TolerantL1(radius, plain_share)(ours, theirs), ours)
    assert float(loss.detach()) == pytest.approx(float(value.detach()), rel=1e-12)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_the_slope_in_3d_is_that_of_finite_differences() -> None:
    ours, theirs = noise(1, 2, 3, 4, 3).double().requires_grad_(), noise(1, 2, 3, 4, 3, seed=1).double()
    assert torch.autograd.gradcheck(lambda image: tolerant(1)(image, theirs), (ours,))


# ---- what it forgives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "steps"), [((32, 36), (1, 0)), ((32, 36), (-1, 1)), ((24, 26, 28), (0, 1, -1)), ((24, 26, 28), (1, 1, 1))]
)
def test_a_target_shifted_by_a_voxel_is_met_where_l1_is_not(sides: tuple[int, ...], steps: tuple[int, ...]) -> None:
    image = blocks(*sides)
    assert float(l1(image, moved(image, *steps))) > 0.03
    assert float(tolerant(1)(image, moved(image, *steps))) == 0
    assert float(tolerant(1)(image, moved(image, *(3 * step for step in steps)))) > 0.03
    assert float(tolerant(3)(image, moved(image, *(3 * step for step in steps)))) == 0


def test_it_falls_with_the_radius_and_is_never_above_l1() -> None:
    ours, theirs = noise(2, 1, 20, 22), noise(2, 1, 20, 22, seed=1)
    found = [float(tolerant(radius)(ours, theirs)) for radius in range(4)]
    assert found == sorted(found, reverse=True)
    assert found[1] < found[0] == float(l1(ours, theirs))
    level = torch.full_like(ours, 0.25)  # a target without structure: no shift is better than none
    assert float(tolerant(2)(level + 1, level)) == pytest.approx(1)


def test_each_image_has_one_shift() -> None:
    """A shift of the whole is met; of halves shifted apart, that one whose error is larger."""
    image = blocks(32, 36)
    both = torch.cat([moved(image, 0, 1), moved(image, 1, 0)])
    assert float(tolerant(1)(torch.cat([image, image]), both)) == 0
    left, right = moved(image, 1, 0)[..., :18], moved(image, -1, 0)[..., 18:]
    apart = torch.cat([left, right], dim=-1)
    # the block is 16 high; its left half has the value 3 in 10 columns, its right half 1 in 10
    assert float(l1(image, apart)) * 32 * 36 == pytest.approx(2 * 10 * 3 + 2 * 10 * 1)
    assert float(tolerant(1)(image, apart)) * 32 * 36 == pytest.approx(2 * 2 * 10)
    ours = image.clone().requires_grad_()
    tolerant(1, reduction="sum")(ours, apart).backward()
    assert ours.grad is not None
    assert float(ours.grad.abs().sum()) == pytest.approx(2 * 2 * 10)


def test_a_common_displacement_costs_the_share_of_the_plain_loss_alone() -> None:
    image = blocks(32, 36)
    displaced = moved(image, 0, 1).requires_grad_()
    for share in (0.0, 0.2):
        (slope,) = torch.autograd.grad(loss := TolerantL1(1, share)(displaced, image), displaced)
        assert float(loss.detach()) == pytest.approx(share * float(l1(displaced, image).detach()))
        (plain,) = torch.autograd.grad(l1(displaced, image), displaced)
        torch.testing.assert_close(slope * (image != displaced), share * plain)


# ---- training --------------------------------------------------------------------------------------------------------


def test_half_precision_is_summed_in_float32() -> None:
    ours, theirs = noise(1, 1, 16, 16).bfloat16().requires_grad_(), noise(1, 1, 16, 16, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = tolerant(1, reduction="sum")(ours, theirs)
    loss.backward()
    assert loss.dtype == torch.float32
    single = float(tolerant(1, reduction="sum")(ours.detach().float(), theirs.float()))
    assert float(loss.detach()) == pytest.approx(single, rel=1e-6)
    assert ours.grad is not None
    assert ours.grad.dtype == torch.bfloat16


def test_a_value_that_is_not_finite_is_not_hidden() -> None:
    ours = noise(1, 1, 16, 16)
    ours[..., 3, 4] = torch.nan
    assert not tolerant(1)(ours, noise(1, 1, 16, 16, seed=1)).isfinite()


def test_no_value_is_read_back_from_the_device() -> None:
    ours, theirs = (torch.empty(2, 1, 12, 14, 16, device=META) for _ in range(2))
    with no_host_reads():
        tolerant(1)(ours.requires_grad_(), theirs).backward()
    assert ours.grad is not None
    assert ours.grad.shape == ours.shape


@pytest.mark.parametrize("radius", [1, 3])
def test_few_images_are_kept_for_the_backward_pass_whatever_the_radius(radius: int) -> None:
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    ours, theirs = noise(1, 1, 32, 32).requires_grad_(), noise(1, 1, 32, 32, seed=1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        tolerant(radius)(ours, theirs)
    assert sum(each.numel() for each in kept) <= 4 * ours.numel()


def test_an_edge_learnt_from_misregistered_targets_is_sharper_than_by_l1() -> None:
    """A bar whose target lies up to two voxels to the left or right: the median of its places is a blurred edge."""
    source = torch.zeros(1, 1, 24, 32)
    source[..., 10:22] = 1
    batch = source.expand(5, -1, -1, -1)
    targets = torch.cat([moved(source, 0, step) for step in (-2, -1, 0, 1, 2)]) + 0.1 * noise(5, 1, 24, 32)
    steepest = []
    for loss in (TolerantL1(0), TolerantL1(2)):
        torch.manual_seed(0)
        network = nn.Conv2d(1, 1, (1, 9), padding=(0, 4))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(200):
            picked = torch.randperm(5)[:2]  # a batch, as in training
            optimizer.zero_grad()
            loss(network(batch[picked]), targets[picked]).backward()
            optimizer.step()
        with torch.no_grad():
            steepest.append(float(network(source)[0, 0, 12].diff().abs().max()))
    assert steepest[0] < 0.7
    assert steepest[1] > 0.85


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [-1, 5, 1.5, True])
def test_a_radius_that_is_no_small_whole_number_is_refused(radius: float) -> None:
    with pytest.raises(ConfigError, match=f"NAME::function::radius is {radius}, not a whole number from 0 to 4 voxels"):
        tolerant(radius)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=f"--losses::NAME::function::plain_share is {share}, not from 0 to 1: pass"):
        TolerantL1(1, share)


def test_images_are_refused_that_are_too_small_differ_or_get_another_reduction() -> None:
    image = torch.zeros(1, 1, 4, 8)
    with pytest.raises(ConfigError, match=r"function::radius 4 spans a side of an image \(4, 8\): lower it"):
        tolerant(4)(image, image)
    with pytest.raises(ValueError, match=r"prediction \(1, 1, 4, 8\) and target \(1, 4, 8\) differ in shape"):
        tolerant(1)(image, image[0])
    with pytest.raises(ConfigError, match="reduction is 'none': choose mean or sum"):
        tolerant(1, reduction="none")(image, image)
