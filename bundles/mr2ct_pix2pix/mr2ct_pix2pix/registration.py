"""Rigid registration of two scans by a network that is trained against a discriminator (Yan et al. 2018).

A movement is (..., 6): angles about the axes x, y, z in radians, applied in this order about the centre of the volume,
and then a translation in mm. It takes points of the fixed scan to points of the moving one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import inf, radians
from typing import Any

import torch
from monai.networks.nets import Regressor
from monai.transforms import Randomizable, Transform
from torch import Tensor, nn
from torch.nn import functional as F

from common.errors import ConfigError
from common.training.methods.base import Batch, Losses
from common.training.methods.conditional import ConditionalGan

AIR = -1.0
"""Scaled value outside a volume."""
UNITS = (0.4, 5.0)
"""Radians and mm of an output of 1, about the largest movement."""
REACH_MM = 60.0
"""The error of a movement is measured on 27 points, at 0 and at this distance to both sides along each axis: a head."""


def rotation(movement: Tensor) -> Tensor:
    """The rotation matrices of movements, (..., 3, 3)."""
    whole = torch.eye(3, device=movement.device)
    for axis in range(3):
        sine, cosine = movement[..., axis].sin(), movement[..., axis].cos()
        turn = torch.eye(3, device=movement.device).repeat(*sine.shape, 1, 1)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[..., first, first], turn[..., first, second] = cosine, -sine
        turn[..., second, first], turn[..., second, second] = sine, cosine
        whole = turn @ whole
    return whole


def moved(points: Tensor, movement: Tensor, inverse: bool = False) -> Tensor:
    """Points (N, 3) in mm from the centre where movements (..., 6), or their inverse, take them, (..., N, 3)."""
    matrix, shift = rotation(movement), movement[..., None, 3:]
    return (points - shift) @ matrix if inverse else points @ matrix.mT + shift


def point_error(estimated: Tensor, true: Tensor) -> Tensor:
    """Mean distance in mm between points that two movements (..., 6) take apart."""
    side = torch.linspace(-REACH_MM, REACH_MM, 3, device=true.device)
    points = torch.cartesian_prod(side, side, side)
    return torch.linalg.vector_norm(moved(points, estimated) - moved(points, true), dim=-1).mean()


def resampled(volume: Tensor, movement: Tensor, spacing: Sequence[float], inverse: bool = False) -> Tensor:
    """Volumes (B, C, X, Y, Z) whose value at a point is that at the moved point; linear, and air from outside.

    Args:
        volume: in [-1, 1].
        movement: (B, 6).
        spacing: of the voxels in mm.
        inverse: whether points are moved by the inverse.
    """
    sides = [(step, count, step * (count - 1) / 2) for step, count in zip(spacing, volume.shape[2:], strict=True)]
    axes = [step * torch.arange(count, device=volume.device) - middle for step, count, middle in sides]
    places = moved(torch.cartesian_prod(*axes), movement, inverse)
    # grid_sample takes the last axis first, from -1 to 1 between the outer sides of the voxels
    scaled = torch.stack([places[..., axis] / (sides[axis][0] * sides[axis][1] / 2) for axis in (2, 1, 0)], -1)
    return F.grid_sample(volume - AIR, scaled.view(-1, *volume.shape[2:], 3), align_corners=False) + AIR


class RigidRegistration(nn.Module):
    """Estimates the rigid movement between two scans: strided convolutions and a linear layer, MONAI's ``Regressor``.

    Input (B, 2, X, Y, Z), the fixed and the moving scan in [-1, 1]; output (B, 1, X, Y, Z), the moving scan resampled
    by the estimated movement.

    Args:
        volume_size: voxels (X, Y, Z) of a scan.
        spacing: of the voxels in mm.
        depth: halvings of the resolution.
        width: features of the first layer, doubled at each halving.
    """

    def __init__(self, volume_size: Sequence[int], spacing: Sequence[float], depth: int = 4, width: int = 16) -> None:
        super().__init__()
        self.spacing = tuple(spacing)
        channels = [width * 2**level for level in range(depth)]
        self.encoder = Regressor((2, *volume_size), (6,), channels, [2] * depth, num_res_units=0)

    def movement(self, x: Tensor) -> Tensor:
        """The estimated movement, (B, 6)."""
        made = self.encoder(x)
        return torch.cat([UNITS[0] * made[:, :3], UNITS[1] * made[:, 3:]], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """The moving scan on the fixed one."""
        return resampled(x[:, 1:], self.movement(x), self.spacing)


def movement_of(x: Tensor, network: RigidRegistration) -> Tensor:
    """What validation infers: the movement that a network estimates, (B, 6)."""
    return network.movement(x)


class RegistrationGan(ConditionalGan):
    """Yan et al. 2018: the discriminator tells pairs aligned by the estimated from pairs aligned by the true movement.

    Named losses: those of :class:`ConditionalGan` and ``transform``, the :func:`point_error` of the estimated movement,
    against the key ``movement`` of a batch. The discriminator takes the fixed and the aligned scan, (B, 2, ...).
    """

    terms = (*ConditionalGan.terms, "transform")

    def generate(self, batch: Batch) -> Losses:
        """The aligned scans and the estimated movements."""
        network: Any = self.generators["generator"]
        movement = network.movement(batch["image"])
        return {"pred": resampled(batch["image"][:, 1:], movement, network.spacing), "movement": movement}

    def _seen(self, source: Tensor, target: Tensor) -> Tensor:
        return super()._seen(source[:, :1], target)

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """The error of the movement in mm, or a loss of the conditional GAN."""
        if name == "transform":
            return point_error(fakes["movement"], batch["movement"])
        return super().loss(name, batch, fakes)


class RandMovementd(Randomizable, Transform):
    """Move the target of a sample at random, and give both as one source.

    Takes ``image`` and ``label`` (1, X, Y, Z) on one grid, in [-1, 1]. Gives ``image``, the fixed and the moving scan
    (2, X, Y, Z); ``label``, the moving scan aligned by the true movement, which blurs it as an estimated one does; and
    ``movement`` (6,). Angles and translations are uniform. Amounts of 0 leave the scans as they are.

    Args:
        rotation: largest angle about each axis in degrees.
        translation: largest translation along each axis in mm.
        spacing: of the voxels in mm.

    Raises:
        ConfigError: for a negative or infinite amount.
    """

    def __init__(self, rotation: float, translation: float, spacing: Sequence[float]) -> None:
        for name, amount in {"rotation": rotation, "translation": translation}.items():
            if not 0 <= amount < inf:
                raise ConfigError(
                    f"--movement::{name} is {amount}, not 0 or more", "give a number such as 5, 0 for none"
                )
        self.largest = [radians(rotation)] * 3 + [float(translation)] * 3
        self.spacing = spacing

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move the target."""
        movement = torch.tensor(self.R.uniform(-1, 1, 6) * self.largest, dtype=torch.float32)
        moving, aligned = data["label"], data["label"]
        if movement.any():
            moving = resampled(moving[None], movement[None], self.spacing, inverse=True)[0]
            aligned = resampled(moving[None], movement[None], self.spacing)[0]
        return {**data, "image": torch.cat([data["image"], moving]), "label": aligned, "movement": movement}
