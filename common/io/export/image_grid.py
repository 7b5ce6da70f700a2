"""Grids of images as one picture in 8 bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def tiled(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Image grid of images (N, X, Y), separated by lines of the smallest value; x points right, y up."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[2] + 1, images.shape[1] + 1
    canvas = np.full((rows * height - 1, columns * width - 1), images.min(), images.dtype)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        canvas[row * height : (row + 1) * height - 1, column * width : (column + 1) * width - 1] = image.T[::-1]
    return canvas


def to_grey(values: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Values as 8-bit grey levels over a window in the same unit."""
    low, high = window
    return np.rint(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
