"""Simulated slices of CT or MR with the class of tissue of each pixel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from common.data.datasets.simulated import SimulatedSlices
from common.segmenter.tissues import CLASSES
from common.simulation.mr_contrasts import any_contrast
from common.simulation.simulate import Case, Heads, MrCtPair


@dataclass(frozen=True)
class SegmentedHead:
    """One modality of a simulated pair, and the class of tissue of each voxel.

    Args:
        heads: whole heads in random positions.
        modality: ``CT`` or ``MR``.
    """

    heads: Heads
    modality: str
    pair: MrCtPair = field(init=False)

    def __post_init__(self) -> None:
        pair = MrCtPair(any_contrast(), heads=self.heads, classes=tuple(CLASSES.values()))
        object.__setattr__(self, "pair", pair)

    def __call__(self, seed: int) -> Case:
        """The case of a seed: the CT in HU or the MR as scanned, and the classes as ``label``."""
        case = self.pair(seed)
        image = case["image" if self.modality == "MR" else "label"]
        return {"image": image, "label": case["classes"], "mask": case["mask"], "spacing": case["spacing"]}


class SlicesOfAnyPlane(SimulatedSlices):
    """Slices of simulated cases, sagittal, coronal and axial ones at random."""

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Cut a random slice of a random plane; classes as whole numbers (H, W)."""
        self.axis = int(rng.integers(3))
        return super().cut(case, rng)


def as_classes(label: Tensor) -> Tensor:
    """Labels (B, 1, H, W) of numbers to (B, H, W) of classes."""
    return label[:, 0].to(torch.int64)
