"""Image grids of samples for the report: by class with real patches and nearest neighbours, and by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common.evaluation.report import Picture
from common.io.export.image_grid import tiled, to_grey
from common.metrics.sample_quality import Nearest
from common.weights import checkpoints
from lesion_dcgan_aug.sample_log import NAME

COLUMNS = 10
EPOCHS = 6
"""Largest number of epochs in the report, evenly spaced over the run."""


def class_picture(name: str, made: Tensor, test: Tensor, training: Tensor, nearest: Nearest) -> Picture:
    """Grid of samples of a class, the nearest training patch of each, and real patches of held-out patients."""
    blocks = [made[:COLUMNS], training[nearest.index[:COLUMNS]], test[:COLUMNS]]
    rows = [tiled(_padded(block[:, 0].numpy()), COLUMNS) for block in blocks]
    caption = (
        "From top to bottom: samples; the training patch nearest to each; real patches of held-out patients. "
        "Samples are synthetic, not for clinical use."
    )
    return Picture(name, png(np.concatenate([_line(row) for row in rows])), caption)


def epoch_pictures(output_dir: Path, classes: Sequence[str]) -> list[Picture]:
    """Grids of samples of fixed latent vectors over the epochs, one for each class; empty without a sample log."""
    path = output_dir / "models" / NAME
    if not path.is_file():
        return []
    kept: Any = checkpoints.load(path)
    epochs, samples = kept["epochs"], kept["samples"].float() / 127.5 - 1
    chosen = torch.linspace(0, len(epochs) - 1, min(EPOCHS, len(epochs))).round().long().tolist()
    caption = f"Rows: epochs {', '.join(str(int(epochs[i])) for i in chosen)}. Columns: the same latent vectors."
    return [
        Picture(f"{name} by epoch", png(tiled(samples[chosen, k].flatten(0, 1).numpy(), samples.shape[2])), caption)
        for k, name in enumerate(classes)
    ]


def png(canvas: np.ndarray) -> bytes:
    """PNG of values in [-1, 1]."""
    stream = io.BytesIO()
    Image.fromarray(to_grey(canvas, (-1, 1))).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _padded(images: np.ndarray) -> np.ndarray:
    """Images padded with empty ones to a full row."""
    missing = np.full((COLUMNS - len(images), *images.shape[1:]), -1, images.dtype)
    return np.concatenate([images, missing])


def _line(row: np.ndarray) -> np.ndarray:
    return np.pad(row, ((0, 3), (0, 0)), constant_values=1)
