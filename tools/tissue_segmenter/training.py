"""Training of the segmenter of tissues on simulated heads, and its Dice on heads that are kept for validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ignite.engine import Events
from ignite.handlers import ProgressBar
from monai.engines import SupervisedTrainer
from monai.transforms import (
    Compose,
    Identity,
    RandAxisFlipd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    RandZoomd,
    SpatialPadd,
    Transform,
)
from monai.utils import set_determinism
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from common.data.datasets.simulated import SimulatedVolumes
from common.errors import ConfigError
from common.segmenter.network import TissueSegmenter
from common.segmenter.segmentation import dice_by_class, segmented
from common.segmenter.tissues import NAMES
from common.simulation.case_loader import CaseLoader
from common.simulation.label_heads import heads_of
from common.simulation.simulate import UNCLASSED
from common.transforms import StandardiseHeadd
from common.weights import checkpoints
from common.weights.info import commit_of, save
from tools.tissue_segmenter.slices import SegmentedHead, SlicesOfAnyPlane, as_classes

SIDE = 96
"""Pixels of a training slice."""
BATCH = 8
RATE = 2.0e-3
SPACINGS_MM = (1.2, 1.6, 2.0, 2.5)
KEYS = ("image", "label")
COARSER = (0.35, 1.0)
"""Sizes of a training slice relative to the simulated one: pixels up to 7 mm."""
SLICES_OF_A_HEAD = 120
CLASS_WEIGHTS = {
    "air": 0.5,
    "fluid": 1.5,
    "white": 1.0,
    "grey": 1.0,
    "fat": 1.0,
    "soft": 1.0,
    "bone": 1.5,
    "marrow": 2.0,
}
"""[chosen] Air is most of a slice; fluid, bone and marrow are thin."""


class Settings(NamedTuple):
    """What a training depends on.

    Attributes:
        modality: ``CT`` or ``MR``.
        label_maps: folder of the maps of individual heads; None for the average head.
        steps: updates, each of 8 slices.
        seed: of all that is drawn.
        width: see :class:`common.segmenter.network.TissueSegmenter`.
    """

    modality: str
    label_maps: Path | None
    steps: int
    seed: int = 0
    width: int = 16


def trained(settings: Settings) -> TissueSegmenter:
    """A network trained on slices that are simulated on the way: a function of the settings on one machine."""
    set_determinism(settings.seed)
    network = TissueSegmenter(settings.modality, len(NAMES), settings.width)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = OneCycleLR(optimizer, RATE, settings.steps)
    weights = torch.tensor([CLASS_WEIGHTS[name] for name in NAMES])
    loss = nn.CrossEntropyLoss(weights, ignore_index=UNCLASSED)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        epoch_length=settings.steps,
        train_data_loader=CaseLoader(
            training_slices(settings), batch_size=BATCH, samples_per_epoch=BATCH * settings.steps
        ),
        network=network,
        optimizer=optimizer,
        loss_function=lambda logits, label: loss(logits, as_classes(label)),
    )
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
    ProgressBar(desc=settings.modality).attach(trainer, output_transform=lambda output: {"loss": output[0]["loss"]})
    trainer.run()
    return network.eval()


def train(settings: Settings, path: Path, cases: int) -> Mapping[str, float]:
    """Write a trained network in half precision, and the JSON file about it; the Dice of each class.

    Args:
        settings: of the training.
        path: of the weights.
        cases: heads to validate on.

    Raises:
        ConfigError: a number is out of range, or the folder holds no label maps.
        OutputError: the folder cannot be written.
    """
    for name, value in {"steps": settings.steps, "cases": cases}.items():
        if value < 1:
            raise ConfigError(f"--{name} is {value}, below 1", "raise it")
    heads, commit = simulated(settings, "training").heads, commit_of(Path(__file__).parent)
    network = trained(settings)
    overlaps = validated(network, settings, cases)
    about = {**settings._asdict(), "label_maps": heads.hashes(), "classes": list(NAMES), "dice": dict(overlaps)}
    save(checkpoints.halved(network.state_dict()), path, {**about, "cases": cases, "commit": commit})
    return overlaps


def training_slices(settings: Settings) -> SlicesOfAnyPlane:
    """The slices of a training, each drawn when it is asked for."""
    return SlicesOfAnyPlane(
        simulated(settings, "training"),
        scaling(settings.modality),
        augmentation=Compose([*_geometry(), *_intensity(settings.modality)]),
        samples_per_case=SLICES_OF_A_HEAD,
        cases=max(BATCH, BATCH * settings.steps // SLICES_OF_A_HEAD + BATCH),
        kept=BATCH + 2,
        seed=settings.seed,
    )


def simulated(settings: Settings, part: str) -> SegmentedHead:
    """Heads for ``training`` or ``validation``."""
    heads = heads_of(settings.label_maps, spacings_mm=SPACINGS_MM)
    return SegmentedHead(heads.held_out() if part == "validation" else heads, settings.modality)


def scaling(modality: str) -> Transform:
    """HU as they are; MR as z-scores inside the head."""
    return StandardiseHeadd("image") if modality == "MR" else Identity()


def _geometry() -> list[Transform]:
    """Coarser pixels, a random part of the slice, and any of its eight orientations."""
    return [
        RandZoomd(KEYS, prob=0.6, min_zoom=COARSER[0], max_zoom=COARSER[1], mode=["area", "nearest"], keep_size=False),
        SpatialPadd(KEYS, (SIDE, SIDE), mode="edge"),
        RandSpatialCropd(KEYS, (SIDE, SIDE), random_size=False),
        RandAxisFlipd(KEYS, prob=0.5),
        RandRotate90d(KEYS, prob=0.75),
    ]


def _intensity(modality: str) -> list[Transform]:
    """CT: another calibration. MR: another scale and offset, as where a head is cut or stripped."""
    if modality == "CT":
        return [RandShiftIntensityd("image", offsets=8.0, prob=0.5)]
    return [RandScaleIntensityd("image", factors=0.2, prob=0.7), RandShiftIntensityd("image", offsets=0.3, prob=0.7)]


def validated(network: nn.Module, settings: Settings, cases: int) -> Mapping[str, float]:
    """Mean Dice of each class over the heads kept for validation, in whole volumes."""
    volumes = SimulatedVolumes(
        simulated(settings, "validation"), scaling(settings.modality), cases=cases, kept=1, seed=1
    )
    rows = []
    for number in range(cases):
        case = volumes[number]
        real = case["label"][0].numpy().astype(np.uint8)
        inside = (case["mask"][0].numpy() > 0) & (real != UNCLASSED)
        rows.append(list(dice_by_class(segmented(case["image"][0].numpy(), network), real, inside).values()))
    return dict(zip(NAMES, np.nanmean(rows, axis=0).round(3).tolist(), strict=True))
