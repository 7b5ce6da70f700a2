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


def tolerant(radius: int, window: int | None = 5, plain_share: float = 0.0, reduction: str = "mean") -> TolerantL1:
    """The loss without its share of the plain one, with small neighbourhoods."""
    return TolerantL1(radius, window, plain_share, reduction)


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


def defined(ours: Tensor, theirs: Tensor, radius: int, window: int) -> Tensor:
    """The loss of 2-D images voxel by voxel, as its formula says it; differentiable."""
    (_, _, height, width), reach = ours.shape, window // 2

    def mirrored(place: int, side: int) -> int:
        return -1 - place if place < 0 else 2 * side - 1 - place if place >= side else place

    def error(sample: int, y: int, x: int, dy: int, dx: int) -> Tensor:
        inside = 0 <= y + dy < height and 0 <= x + dx < width
        there = theirs[sample, :, y + dy, x + dx] if inside else theirs[sample, :, y, x]
        return (ours[sample, :, y, x] - there).abs().mean()

    around, shifts = list(product(range(-reach, reach + 1), repeat=2)), product(range(-radius, radius + 1), repeat=2)
    candidates = [
        torch.stack(
            [
                torch.stack(
                    [error(n, mirrored(y + v, height), mirrored(x + u, width), dy, dx) for v, u in around]
                ).mean()
                for n, y, x in product(range(len(ours)), range(height), range(width))
            ]
        )
        for dy, dx in shifts
    ]
    return torch.stack(candidates).amin(dim=0).mean()


# ---- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_radius_0_is_l1_itself(reduction: str) -> None:
    ours, theirs = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    assert torch.equal(TolerantL1(0, reduction=reduction)(ours, theirs), l1(ours, theirs, reduction))


def test_by_hand() -> None:
    """An edge between columns 1 and 2 of the image and 2 and 3 of the target; neighbourhoods of 3 x 3 voxels.

    Taken from the right, the target differs nowhere but in its last column, which has nothing on its right and the
    value of the image there. Against an edge twice as high, what is left is 1 in the columns 2 to 5, of which
    neighbourhoods see 0, 1/3, 2/3, 1, 1, 1: a shift back or to the left is no better anywhere.
    """
    ours = torch.tensor([0.0, 0, 1, 1, 1, 1]).expand(1, 1, 4, 6)
    theirs = torch.tensor([0.0, 0, 0, 1, 1, 1]).expand(1, 1, 4, 6)
    assert float(l1(ours, theirs)) == pytest.approx(1 / 6)
    assert float(tolerant(1, 3)(ours, theirs)) == 0
    assert float(tolerant(1, 3)(2 * ours, theirs)) == pytest.approx((1 / 3 + 2 / 3 + 1 + 1 + 1) / 6)
    assert float(tolerant(1, 3, reduction="sum")(2 * ours, theirs)) == pytest.approx(24 * 4 / 6)


@pytest.mark.parametrize(("radius", "window", "plain_share"), [(1, 3, 0.0), (2, 3, 0.3), (1, 5, 0.3)])
def test_value_and_slope_are_those_of_the_formula(radius: int, window: int, plain_share: float) -> None:
    ours, theirs = noise(1, 2, 5, 6).double().requires_grad_(), noise(1, 2, 5, 6, seed=1).double()
    value = (1 - plain_share) * defined(ours, theirs, radius, window) + plain_share * (ours - theirs).abs().mean()
    (wanted,) = torch.autograd.grad(value, ours)
    (found,) = torch.autograd.grad(loss := TolerantL1(radius, window, plain_share)(ours, theirs), ours)
    assert float(loss) == pytest.approx(float(value), rel=1e-12)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_the_slope_in_3d_is_that_of_finite_differences() -> None:
    ours, theirs = noise(1, 2, 3, 4, 3).double().requires_grad_(), noise(1, 2, 3, 4, 3, seed=1).double()
    assert torch.autograd.gradcheck(lambda image: tolerant(1, 3)(image, theirs), (ours,))


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
    assert float(tolerant(2, 5, 0.25)(ours, theirs)) == pytest.approx(0.75 * found[2] + 0.25 * found[0])
    level = torch.full_like(ours, 0.25)  # a target without structure: no shift is better than none
    assert float(tolerant(2)(level + 1, level)) == pytest.approx(1)


def test_without_a_window_each_image_has_one_shift() -> None:
    """A shift of the whole is met; of halves shifted apart, that one whose error is larger."""
    image = blocks(32, 36)
    both = torch.cat([moved(image, 0, 1), moved(image, 1, 0)])
    assert float(tolerant(1, None)(torch.cat([image, image]), both)) == 0
    left, right = moved(image, 1, 0)[..., :18], moved(image, -1, 0)[..., 18:]
    apart = torch.cat([left, right], dim=-1)
    # the block is 16 high; its left half has the value 3 in 10 columns, its right half 1 in 10
    assert float(l1(image, apart)) * 32 * 36 == pytest.approx(2 * 10 * 3 + 2 * 10 * 1)
    assert float(tolerant(1, None)(image, apart)) * 32 * 36 == pytest.approx(2 * 2 * 10)
    assert float(tolerant(1, 5)(image, apart)) < float(tolerant(1, None)(image, apart))
    ours = image.clone().requires_grad_()
    tolerant(1, None, reduction="sum")(ours, apart).backward()
    assert ours.grad is not None
    assert float(ours.grad.abs().sum()) == pytest.approx(2 * 2 * 10)


def test_a_common_displacement_costs_the_share_of_the_plain_loss_alone() -> None:
    image = blocks(32, 36)
    displaced = moved(image, 0, 1).requires_grad_()
    for share in (0.0, 0.2):
        (slope,) = torch.autograd.grad(loss := TolerantL1(1, None, share)(displaced, image), displaced)
        assert float(loss) == pytest.approx(share * float(l1(displaced, image)))
        (plain,) = torch.autograd.grad(l1(displaced, image), displaced)
        torch.testing.assert_close(slope * (image != displaced), share * plain)


def test_a_larger_window_forgives_less_noise() -> None:
    ours, theirs = noise(1, 1, 40, 40), noise(1, 1, 40, 40, seed=1)
    found = [float(tolerant(1, window)(ours, theirs)) / float(l1(ours, theirs)) for window in (3, 5, 9)]
    assert found[0] < found[1] < found[2] < 1


def test_thickness_is_seen_within_a_window_and_not_beyond() -> None:
    """Both sides a voxel too far out: of a sheet of 2 voxels that is an error, of a slab of 16 each side is a shift."""

    def sheet(first: int, last: int) -> Tensor:
        image = torch.zeros(1, 1, 32, 40)
        image[..., first:last] = 1
        return image

    thin, thick = [float(tolerant(1, 5)(sheet(9, 31 - 20 + 2 * n), sheet(10, 30 - 20 + 2 * n))) for n in (1, 9)]
    assert thick == 0
    assert thin > 0.01


# ---- training --------------------------------------------------------------------------------------------------------


def test_the_gradient_is_finite_and_none_where_the_images_agree() -> None:
    image = blocks(32, 36).requires_grad_()
    tolerant(1)(image, moved(image.detach(), 1, 1)).backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) == 0
    other = (noise(1, 1, 32, 36)).requires_grad_()
    tolerant(1, reduction="sum")(other, image.detach()).backward()
    assert other.grad is not None
    assert bool(other.grad.isfinite().all())
    # a voxel counts once in all, also where its neighbours chose several shifts, whose signs may differ
    assert 0.9 < float(other.grad.abs().mean()) <= float(other.grad.abs().max()) <= 1 + 1e-6


def test_half_precision_is_summed_in_float32() -> None:
    ours, theirs = noise(1, 1, 16, 16).bfloat16().requires_grad_(), noise(1, 1, 16, 16, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = tolerant(1, reduction="sum")(ours, theirs)
    loss.backward()
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(
        float(tolerant(1, reduction="sum")(ours.detach().float(), theirs.float())), rel=1e-6
    )
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
    steepest = {}
    for name, loss in {"l1": TolerantL1(0), "places": tolerant(2), "images": TolerantL1(2)}.items():
        torch.manual_seed(0)
        network = nn.Conv2d(1, 1, (1, 9), padding=(0, 4))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(200):
            picked = torch.randperm(5)[:2]  # a batch, as in training
            optimizer.zero_grad()
            loss(network(batch[picked]), targets[picked]).backward()
            optimizer.step()
        with torch.no_grad():
            steepest[name] = float(network(source)[0, 0, 12].diff().abs().max())
    assert steepest["l1"] < 0.7
    assert min(steepest["places"], steepest["images"]) > 0.85


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [-1, 5, 1.5, True])
def test_a_radius_that_is_no_small_whole_number_is_refused(radius: float) -> None:
    with pytest.raises(
        ConfigError,
        match=f"--losses::NAME::function::radius: is a whole number from 0 to 4, in voxels, but got {radius}",
    ):
        tolerant(radius)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [0, 1, 4, 3.5, True, 257])
def test_a_window_that_is_no_odd_number_is_refused(window: float) -> None:
    rule = f"is an odd number of voxels from 3 to 255, or null .*, but got {window}"
    with pytest.raises(ConfigError, match=f"--losses::NAME::function::window: {rule}"):
        tolerant(1, window)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(
        ConfigError, match=f"--losses::NAME::function::plain_share: is a share from 0 to 1, but got {share}; give"
    ):
        TolerantL1(1, 5, share)


def test_images_are_refused_that_are_too_small_differ_or_get_another_reduction() -> None:
    image = torch.zeros(1, 1, 4, 8)
    with pytest.raises(
        ConfigError, match=r"--losses::NAME::function::window: .*radius \(1\) below it, but got 5 for \(4, 8\); lower"
    ):
        tolerant(1, 5)(image, image)
    with pytest.raises(
        ConfigError, match=r"--losses::NAME::function::window: .*radius \(4\) below it, but got 3 for \(4, 8\); lower"
    ):
        tolerant(4, 3)(image, image)
    with pytest.raises(ValueError, match=r"prediction \(1, 1, 4, 8\) and target \(1, 4, 8\) differ in shape"):
        tolerant(1, 3)(image, image[0])
    with pytest.raises(ConfigError, match="reduction: is mean or sum, but got 'none'; choose one of them"):
        tolerant(1, 3, reduction="none")(image, image)
