"""The residual CycleGAN on networks of one weight and on small real ones, and data for it.

By hand: a = 0.2, b = 0.3; G_AB(x) = 0.5 x, G_BA(x) = 3 x, so G_AB(a) = 0.1, G_BA(b) = 0.9; D_C(x, y) = 2 x + 5 y, so
D_C(a, b) = 1.9, D_C(a, G_AB(a)) = 0.9, D_C(G_BA(b), b) = 3.3; least squares.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from cect2ct_rescyclegan.method import ResCycleGan, slices
from cect2ct_rescyclegan.networks import PatchGanDiscriminator, ResidualGenerator, UNetGenerator
from loss_settings import losses_of
from monai.transforms import Identityd, RandSpatialCropd
from torch import Tensor, nn
from torch.utils.data import Dataset
from toy_networks import Pair, cycle_networks

from common.losses import AdversarialLoss

CPU = torch.device("cpu")
ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999))
ALL = {"adversarial": 1.0, "pair": 1.0, "cycle": 10.0, "identity": 5.0}
MODES = ["registered", "cross", "off"]
A, B = 0.2, 0.3


def by_hand(mode: str, pool_size: int = 0, margin: int = 0, **weights: float) -> ResCycleGan:
    loss = AdversarialLoss("least_squares")
    return ResCycleGan(Pair(2.0, 5.0), mode, losses_of(weights or ALL), loss, pool_size, margin, **cycle_networks())


def batch(a: float = A, b: float = B) -> dict[str, Tensor]:
    return {"image": torch.full((2, 1, 4, 4), a), "label": torch.full((2, 1, 4, 4), b)}


def gradients(method: ResCycleGan) -> dict[str, list[float]]:
    """Of the networks that have one; None is no gradient, 0 would be one."""
    weights = {name: network.weight for name, network in [*method.generators.items(), *method.discriminators.items()]}
    return {name: weight.grad.flatten().tolist() for name, weight in weights.items() if weight.grad is not None}


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


def items(count: int, first: int = 0, depth: int = 2, key: str | None = None) -> list[dict[str, Any]]:
    """Cases of (1, 20, 20, depth): air at -3, tissue inside the window, bone above; the target is the negative."""
    found = []
    for number in range(first, first + count):
        values = torch.randn(1, 20, 20, depth, generator=torch.Generator().manual_seed(number))
        volume = torch.where(values.abs() > 1.2, torch.sign(values) * 3, values)
        item = {"case": f"case_{number}", "image": volume, "label": -volume, "mask": torch.ones(1, 20, 20, depth)}
        found.append({name: value for name, value in item.items() if key in (None, name) or name in ("case", "mask")})
    return found


def cases(pairs: bool) -> dict[str, list[dict[str, Any]]]:
    """Four slices of pairs, or pools of two cases each that share none."""
    paired = items(2)
    if pairs:
        return {"training": paired, "training_A": paired, "training_B": paired}
    return {"training": [], "training_A": items(2, key="image"), "training_B": items(2, 10, key="label")}


def dataset(mode: str, pairs: bool) -> Dataset:
    listed = cases(pairs)
    crop = RandSpatialCropd(["image", "label"], [16, 16], random_size=False, allow_missing_keys=True)
    return slices(mode, listed, listed["training_A"], transform=Identityd(["mask"]), augmentation=crop, plane="axial")


def residual(
    mode: str, pool_size: int = 1, weights: dict[str, float] | None = None, moved: bool = False, width: int = 4
) -> ResCycleGan:
    """Residual U-Nets of depth 3 and small patch discriminators; ``moved``: as after some training."""
    generators = {
        name: ResidualGenerator(UNetGenerator(depth=3, width=width, dropout=0.0, bounded=False))
        for name in ("generator_ab", "generator_ba")
    }
    discriminators = {name: PatchGanDiscriminator(1, width, 1) for name in ("discriminator_a", "discriminator_b")}
    for generator in generators.values() if moved else ():
        for weight in generator.parameters():
            nn.init.normal_(weight, 0.0, 0.3)
    loss = AdversarialLoss("least_squares")
    return ResCycleGan(
        PatchGanDiscriminator(2, width, 1),
        mode,
        losses_of(weights or ALL),
        loss,
        pool_size,
        **generators,
        **discriminators,
    )
