"""A small U-Net that segments the tissues of a head in slices of CT or MR, and its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from ..errors import ConfigError, choose
from ..weights import checkpoints
from .tissues import MODALITIES, NAMES

FOLDER = Path(__file__).parent / "weights"
"""Of the weights; their card is ``docs/reference/degraded-mr.md``."""

CT_WINDOWS = ((-160.0, 240.0), (-1000.0, 2000.0))
"""In HU: soft tissue, where 20 HU are a twentieth, and everything from air to compact bone."""
MR_WINDOWS = ((-3.0, 8.0),)
"""Of z-scores inside the head."""
LEAST_SIDE = 16
"""The U-Net halves a slice four times."""


class TissueSegmenter(nn.Module):
    """Logits of the classes of :data:`common.segmenter.CLASSES` in slices of a head, of any plane and pixel size.

    Batch normalisation and not that of an instance, since the absolute value of a voxel says much.

    Args:
        modality: ``CT``, whose slices are in HU, or ``MR``, in z-scores inside the head.
        classes: number of classes.
        width: channels of the first and the last level; 2, 4 and 8 times as many on the way down.
    """

    def __init__(self, modality: str, classes: int, width: int = 16) -> None:
        super().__init__()
        self.windows = CT_WINDOWS if modality == "CT" else MR_WINDOWS
        features = (width, width, 2 * width, 4 * width, 8 * width, width)
        self.network = BasicUNet(
            2, in_channels=len(self.windows), out_channels=classes, features=features, norm="batch"
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Slices (B, 1, H, W), at least 16 pixels a side, to logits (B, classes, H, W)."""
        shown = [((slices - low) / (high - low) * 2 - 1).clamp(-1, 1) for low, high in self.windows]
        logits: Tensor = self.network(torch.cat(shown, dim=1))
        return logits


def segmenter(modality: str) -> TissueSegmenter:
    """The network of a modality with its weights, frozen, in evaluation mode, on the CPU.

    Args:
        modality: ``CT`` or ``MR``.

    Raises:
        ConfigError: another modality.
        CheckpointError: the weights are missing or damaged.
    """
    if modality not in MODALITIES:
        raise ConfigError(f"no tissue segmenter for modality {modality}", choose(MODALITIES))
    network = TissueSegmenter(modality, len(NAMES))
    checkpoints.load_weights(network, FOLDER / f"{modality.lower()}.pt")
    return network.eval().requires_grad_(False)
