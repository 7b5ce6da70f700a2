"""A distance between images that tolerates small misregistration of the pairs it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError
from .distances import at_least_float32, l1, reduced, require_same_shape

MOST_RADIUS = 4
"""A volume then has 9^3 candidates, each compared twice."""
MOST_WINDOW = 255


class TolerantL1:
    """:func:`common.losses.l1` to the best of the targets shifted by whole voxels, chosen for each image or place.

    L = mean over x of min over s of the mean over y around x of |G(y) - T(y + s)|, |s_i| <= ``radius`` along each axis,
    times 1 - ``plain_share``, and the plain loss times ``plain_share``. It is never above the plain loss, whose shift
    of 0 is among the candidates. Where y + s lies outside the image, the unshifted difference counts; at the border a
    neighbourhood is mirrored, so that each voxel weighs the same. All channels of a voxel are shifted together. Source:
    ours, after the measure of Märtens et al. 2019 (super-resolution of PROBA-V images), which takes the best of the
    shifts of a whole image.

    Neighbourhoods of one voxel would choose the value that fits best, noise included; those of ``window`` voxels have
    to agree on a shift. What the loss cannot tell:

    - a synthetic image displaced by up to ``radius`` voxels against its source. All images may drift together, as each
      shift costs nothing; only ``plain_share`` and a conditional adversary ask for the place that the targets share;
    - with a ``window``, also displacements that differ from place to place, and a structure thicker than the window
      that is up to ``2 * radius`` voxels too thick or too thin, since each side is matched by itself;
    - the phase of a texture whose period is at most ``2 * radius`` voxels;
    - shifts of a part of a voxel, which it forgives no more than the plain loss, and in 2-D all shifts across a slice.

    The shifts are compared one after another, and the gradient is added up likewise: memory is that of a few images,
    whatever the radius. Nothing is read back from the device.

    Args:
        radius: largest shift in voxels along each axis, 0 to 4; about the misregistration divided by the spacing,
            rounded up. 0: the plain loss.
        window: side in voxels of the neighbourhood of each voxel that has a shift of its own, odd, from 3; larger than
            the structures whose thickness matters, smaller than the distance over which the misregistration changes.
            None: one shift for each image of the batch (slice or patch).
        plain_share: of the plain loss, from 0 to 1.
        reduction: see :func:`common.losses.l1`.

    Raises:
        ConfigError: for another radius, window or share, and when called with images that have a side below ``window``
            or not above ``radius``.
    """

    def __init__(
        self, radius: int = 1, window: int | None = None, plain_share: float = 0.2, reduction: str = "mean"
    ) -> None:
        if isinstance(radius, bool) or radius not in range(MOST_RADIUS + 1):
            rule = f"is a whole number from 0 to {MOST_RADIUS}, in voxels"
            raise ConfigError("--losses::NAME::function::radius", rule, radius, "give 1 or 2, or 0 for plain L1")
        if window is not None and (isinstance(window, bool) or window not in range(3, MOST_WINDOW + 1, 2)):
            rule = f"is an odd number of voxels from 3 to {MOST_WINDOW}, or null for the whole image"
            raise ConfigError("--losses::NAME::function::window", rule, window, "give for example 15")
        if not 0 <= plain_share <= 1:
            raise ConfigError(
                "--losses::NAME::function::plain_share", "is a share from 0 to 1", plain_share, "give for example 0.2"
            )
        self.radius, self.window, self.plain_share = radius, window, float(plain_share)
        self.reduction = reduction

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]); Raises as in :func:`common.losses.l1`."""
        if not self.radius:
            return l1(prediction, target, self.reduction)
        require_same_shape(prediction, target)
        least = max(self.window or 1, self.radius + 1)
        if min(target.shape[2:]) < least:
            rule = f"is at most the shortest side of an image, and radius ({self.radius}) below it"
            raise ConfigError(
                "--losses::NAME::function::window", rule, f"{self.window} for {tuple(target.shape[2:])}", "lower them"
            )
        ours, theirs = at_least_float32(prediction), at_least_float32(target)
        with torch.no_grad():
            best, slope = self._best(ours, theirs)
        # the loss is linear in the image between the places where a sign or a choice changes: value and slope are all
        return reduced(best + (slope * (ours - ours.detach())).sum(), target, self.reduction)

    def _best(self, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its derivative by each value of ``ours``."""
        shifts = self._shifts(ours.ndim - 2)
        best = plain = self._difference(ours, theirs)
        choice = torch.zeros_like(best, dtype=torch.int16)
        for number, shift in enumerate(shifts[1:], 1):
            found = self._difference(ours, _shifted(theirs, shift))
            choice = torch.where(found < best, number, choice)
            best = torch.minimum(best, found)
        slope = torch.zeros_like(ours)
        for number, shift in enumerate(shifts):
            share = _local_mean((choice == number).to(best.dtype), self.window)  # its own transpose
            share = share * (1 - self.plain_share) + (0 if number else self.plain_share)
            slope += share * (ours - _shifted(theirs, shift)).sign()
        return torch.lerp(best, plain, self.plain_share).mean(), slope / ours.numel()

    def _shifts(self, axes: int) -> list[tuple[int, ...]]:
        """All shifts, none first and near ones before far ones, so that of equal candidates the nearest is taken."""
        every = product(range(-self.radius, self.radius + 1), repeat=axes)
        return sorted(every, key=lambda shift: sum(step**2 for step in shift))

    def _difference(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Mean absolute difference over the channels and the neighbourhood of each voxel, (B, 1, H, W[, D])."""
        return _local_mean((ours - theirs).abs().mean(dim=1, keepdim=True), self.window)


def _shifted(image: Tensor, shift: Sequence[int]) -> Tensor:
    """T(y + s) at each voxel y, and T(y) where y + s lies outside."""
    if not any(shift):
        return image
    moved, inside, taken = image.clone(), [slice(None)] * 2, [slice(None)] * 2
    for step, side in zip(shift, image.shape[2:], strict=True):
        inside.append(slice(max(0, -step), side - max(0, step)))
        taken.append(slice(max(0, step), side - max(0, -step)))
    moved[tuple(inside)] = image[tuple(taken)]
    return moved


def _local_mean(image: Tensor, window: int | None) -> Tensor:
    """Mean over a box around each voxel of (B, 1, H, W[, D]); beyond its border the image is mirrored.

    As a matrix it is symmetric and its rows and columns sum to 1: the mean of the image stays as it is. Without a
    window it is the mean of each image, (B, 1, 1, 1[, 1]).
    """
    if window is None:
        return image.mean(dim=list(range(2, image.ndim)), keepdim=True)
    reach, pool = window // 2, F.avg_pool2d if image.ndim == 4 else F.avg_pool3d
    for axis in range(2, image.ndim):  # one after the other, which is a box too
        first, last = image.narrow(axis, 0, reach), image.narrow(axis, image.shape[axis] - reach, reach)
        side = [window if other == axis else 1 for other in range(2, image.ndim)]
        image = pool(torch.cat([first.flip(axis), image, last.flip(axis)], dim=axis), side, stride=1)
    return image
