"""The segmenters that come with the package, one for CT and one for MR."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, choose
from ..networks.tissue_segmenter import TissueSegmenter
from ..weights import checkpoints
from .tissues import MODALITIES, NAMES

FOLDER = Path(__file__).parent / "weights"
"""Of the weights; their card is ``docs/reference/tissue-segmenters.md``."""


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
