"""A distance between images that tolerates small misregistration of the pairs it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from ..errors import ConfigError
from .distances import at_least_float32, l1

MOST_RADIUS = 4
"""A volume then has 9^3 candidates."""


class TolerantL1:
    """:func:`common.losses.l1` to the best of the targets shifted by whole voxels, one shift for each image of a batch.

    L = min over s of the mean over y of |G(y) - T(y + s)|, |s_i| <= ``radius`` along each axis, times
    1 - ``plain_share``, and the plain loss times ``plain_share``. It is never above the plain loss, whose shift of 0 is
    among the candidates. Where y + s lies outside the image, the unshifted difference counts. All channels of a voxel
    are shifted together. Source: ours, after the measure of Märtens et al. 2019 (super-resolution of PROBA-V images).

    What the loss cannot see:

    - a synthetic image displaced by up to ``radius`` voxels against its source. All images may drift together, as each
      shift costs nothing; only ``plain_share`` and a conditional adversary ask for the place that the targets share;
    - the phase of a texture whose period is at most ``2 * radius`` voxels;
    - shifts of a part of a voxel, which it forgives no more than the plain loss, and in 2-D all shifts across a slice.

    The shifts are compared one after another: memory is that of a few images, whatever the radius. Nothing is read back
    from the device.

    Args:
        radius: largest shift in voxels along each axis, 0 to 4; about the misregistration divided by the spacing,
            rounded up. 0: the plain loss.
        plain_share: of the plain loss, from 0 to 1.
        reduction: see :func:`common.losses.l1`.

    Raises:
        ConfigError: for another radius or share, and when called with images that have a side of ``radius`` or less.
    """

    def __init__(self, radius: int = 1, plain_share: float = 0.2, reduction: str = "mean") -> None:
        if isinstance(radius, bool) or radius not in range(MOST_RADIUS + 1):
            fault = f"--losses::NAME::function::radius is {radius}, not a whole number from 0 to {MOST_RADIUS} voxels"
            raise ConfigError(fault, "give 1 or 2, or 0 for plain L1")
        if not 0 <= plain_share <= 1:
            fault = f"--losses::NAME::function::plain_share is {plain_share}, not from 0 to 1"
            raise ConfigError(fault, "pass a share such as 0.2")
        self.radius, self.plain_share = radius, float(plain_share)
        self.reduction = reduction

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]); Raises as in :func:`common.losses.l1`."""
        ours, theirs = at_least_float32(prediction), at_least_float32(target)
        plain = l1(ours, theirs, self.reduction)
        if not self.radius:
            return plain
        return torch.lerp(l1(ours, self._nearest(ours, theirs), self.reduction), plain, self.plain_share)

    @torch.no_grad()
    def _nearest(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Each target at its best shift; the nearest of equal ones."""
        if min(theirs.shape[2:]) <= self.radius:
            image = f"an image {tuple(theirs.shape[2:])}"
            raise ConfigError(f"--losses::NAME::function::radius {self.radius} spans a side of {image}", "lower it")
        shifts = product(range(-self.radius, self.radius + 1), repeat=ours.ndim - 2)
        nearest, least = theirs, _error(ours, theirs)
        for shift in sorted(shifts, key=lambda shift: sum(step**2 for step in shift))[1:]:
            moved = _shifted(theirs, shift)
            error = _error(ours, moved)
            nearest, least = torch.where(error < least, moved, nearest), torch.minimum(error, least)
        return nearest


def _error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean absolute difference of each image, (B, 1, 1, 1[, 1])."""
    return (ours - theirs).abs().mean(dim=list(range(1, ours.ndim)), keepdim=True)


def _shifted(image: Tensor, shift: Sequence[int]) -> Tensor:
    """T(y + s) at each voxel y, and T(y) where y + s lies outside."""
    moved, inside, taken = image.clone(), [slice(None)] * 2, [slice(None)] * 2
    for step, side in zip(shift, image.shape[2:], strict=True):
        inside.append(slice(max(0, -step), side - max(0, step)))
        taken.append(slice(max(0, step), side - max(0, -step)))
    moved[tuple(inside)] = image[tuple(taken)]
    return moved
