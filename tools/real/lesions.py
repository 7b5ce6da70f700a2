"""Segmenter of lesions on FLAIR, trained on a few real scans, and the overlap of its masks with manual ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    RandAxisFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)
from monai.transforms.utils import generate_spatial_bounding_box
from monai.utils import set_determinism
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import WeightedRandomSampler

from common.data import SliceDataset
from common.metrics.masked import dice
from common.stitching import PlaneInferer
from common.transforms import StandardiseHeadd

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]

NEIGHBOURS = 3
FEATURES = (16, 16, 32, 64, 128, 16)
DEPTH = 4
"""Halvings of the resolution in a BasicUNet."""
SIDE = 128
"""Pixels of a training slice, cut from the brain's bounding box."""
BATCH = 4
RATE = 5.0e-3
AIR = -4.0
"""z-score of all that lies outside the brain."""
LEAST_LESION = 20
"""Voxels of lesions in a slice that is rich in them."""
RICH_SHARE = 0.5
"""[chosen] of the training slices; the others are any slices of brains."""
PRIOR = -4.0
"""First logit of every voxel: most have no lesion."""
KEYS = ("image", "label")


def scaled(flair: Volume, t1: Volume) -> dict[str, torch.Tensor]:
    """``image``: z-scores of a FLAIR (1, X, Y, Z) inside the brain that is found in the T1, and ``mask``."""
    made = StandardiseHeadd("image", reference="t1", background=AIR)(
        {"image": torch.from_numpy(flair[None].copy()), "t1": torch.from_numpy(t1[None].copy())}
    )
    return {key: made[key] for key in ("image", "mask")}


def training_slices(items: Sequence[dict[str, Any]], seed: int) -> SliceDataset:
    """Axial slabs of brains with the lesions of their central slice, each a function of the draw and the seed."""
    augmentation = Compose([
        SpatialPadd(KEYS, (SIDE, SIDE), mode="edge"),
        RandSpatialCropd(KEYS, (SIDE, SIDE), random_size=False),
        RandAxisFlipd(KEYS, prob=0.5),
        RandScaleIntensityd("image", factors=0.15, prob=0.7),
        RandShiftIntensityd("image", offsets=0.2, prob=0.7),
    ])  # fmt: skip
    return SliceDataset(items, dict, augmentation, "axial", NEIGHBOURS, min_foreground=0.05, seed=seed)


def draws(dataset: SliceDataset, items: Sequence[dict[str, Any]], count: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of a draw and a slice, of which :data:`RICH_SHARE` are rich in lesions."""
    lesions = [(item["label"][0] > 0).sum(dim=(0, 1)) for item in items]
    rich = torch.tensor([int(lesions[number][place]) >= LEAST_LESION for number, place in dataset.slices])
    shares = torch.where(rich, RICH_SHARE / max(1, int(rich.sum())), (1 - RICH_SHARE) / max(1, int((~rich).sum())))
    order = WeightedRandomSampler(shares.tolist(), count, generator=torch.Generator().manual_seed(seed))
    return list(enumerate(order))


def trained(scans: Sequence[tuple[Volume, Volume, Mask]], steps: int, seed: int = 0) -> nn.Module:
    """A BasicUNet on slabs of three slices, trained by Dice and cross-entropy with weights of one.

    Args:
        scans: FLAIR, T1 and lesions (X, Y, Z) of each patient, in RAS orientation.
        steps: updates, each of :data:`BATCH` slices.
        seed: of weights, order and augmentation.
    """
    set_determinism(seed)
    items = [_item(*scan) for scan in scans]
    dataset = training_slices(items, seed)
    network = BasicUNet(2, NEIGHBOURS, 1, FEATURES, norm="batch")  # instances would lose the level of a z-score
    nn.init.constant_(network.final_conv.bias, PRIOR)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = OneCycleLR(optimizer, RATE, steps)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=DataLoader(dataset, batch_size=BATCH, sampler=draws(dataset, items, BATCH * steps, seed)),
        network=network,
        optimizer=optimizer,
        loss_function=DiceCELoss(sigmoid=True, batch=True),
    )
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
    trainer.run()
    return network.eval()


def _item(flair: Volume, t1: Volume, lesions: Mask) -> dict[str, Any]:
    """A patient inside the bounding box of the brain."""
    volumes = {**scaled(flair, t1), "label": torch.from_numpy(lesions[None].astype(np.float32))}
    box = (slice(None), *_box(volumes["mask"]))
    return {key: volume[box] for key, volume in volumes.items()}


def _box(mask: torch.Tensor) -> tuple[slice, ...]:
    low, high = generate_spatial_bounding_box(mask, margin=2)
    return tuple(slice(int(first), int(last)) for first, last in zip(low, high, strict=True))


def segmented(network: nn.Module, flair: Volume, t1: Volume) -> Mask:
    """Lesions (X, Y, Z) inside the brain of a FLAIR, real or synthetic, in RAS orientation."""
    volumes = scaled(flair, t1)
    box = (slice(None), *_box(volumes["mask"]))
    inferer = PlaneInferer("axial", NEIGHBOURS, multiple_of=2**DEPTH, cval=AIR, progress=False)
    logits = torch.zeros_like(volumes["image"])
    logits[box] = inferer(volumes["image"][box][None], network)[0]
    return np.asarray((logits > 0) & (volumes["mask"] > 0))[0]


def overlap(predicted: Mask, real: Mask) -> dict[str, float]:
    """Dice, precision (share of the predicted that is real) and recall (share of the real that is predicted).

    Args:
        predicted: (X, Y, Z).
        real: of the same shape.

    Returns:
        each in [0, 1]; nan where it would divide by no voxel.
    """
    both = float((predicted & real).sum())
    shares = {
        name: both / mask.sum() if mask.any() else float("nan")
        for name, mask in (("precision", predicted), ("recall", real))
    }
    return {"dice": dice(predicted, real), **shares}
