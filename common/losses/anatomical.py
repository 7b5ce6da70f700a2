"""A distance between images by what a frozen segmenter of tissues sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from common.anatomy import segmenter
from common.errors import ConfigError
from common.knots import Knot, KnottedWindow
from common.losses.distances import at_least_float32, require_same_shape
from common.losses.features import hidden_features
from common.networks.tissue_segmenter import LEAST_SIDE


class AnatomicalL1:
    """Mean over the activations of a frozen segmenter of tissues of the L1 between those of both images.

    Johnson et al. 2016 (eq. 2) compare images by the features of a classifier of photographs; Longuefosse et al. 2024
    (anatomical feature-prioritised loss) by those of a segmenter of the anatomy. Here it is a small U-Net trained on
    simulated heads, :func:`common.anatomy.segmenter`, which takes slices: of volumes all those across the last axis.

    Args:
        modality: of the target, ``CT`` or ``MR``.
        window: of the scale of the images, see :class:`common.knots.KnottedWindow`; None for images in the unit of
            the segmenter, HU or z-scores inside the head.
        knots: of that scale.
        weights: another file of ``python -m common.anatomy``; None for that of the package.

    Raises:
        ConfigError: another modality, a window that is none, and when called with slices below 16 pixels a side.
        CheckpointError: see :func:`common.anatomy.segmenter`.
    """

    def __init__(
        self,
        modality: str,
        window: Sequence[float] | None = None,
        knots: Sequence[Knot] | None = (),
        weights: str | Path | None = None,
    ) -> None:
        self.network = segmenter(modality, weights)
        self.scale = None if window is None else KnottedWindow(window, knots)

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]), each channel being an image of its own.

        Raises:
            ValueError: for images of different shapes.
        """
        require_same_shape(prediction, target)
        if min(prediction.shape[2:4]) < LEAST_SIDE:
            rule = f"has at least {LEAST_SIDE} pixels along each side of a slice, with the loss anatomy"
            raise ConfigError("patch_size", rule, tuple(prediction.shape[2:]), "enlarge it, or remove anatomy")
        self.network.to(prediction.device)
        with torch.no_grad():
            wanted = hidden_features(self.network, self._slices(target))
        found = hidden_features(self.network, self._slices(prediction))
        distances = [
            (at_least_float32(ours) - at_least_float32(theirs)).abs().mean()
            for ours, theirs in zip(found, wanted, strict=True)
        ]
        return torch.stack(distances).mean()

    def _slices(self, images: Tensor) -> Tensor:
        """Images in the unit of the segmenter, as slices (N, 1, H, W)."""
        values = images if self.scale is None else self.scale.unscaled(images)
        return values.movedim(4, 1).flatten(0, 2)[:, None] if values.ndim == 5 else values.flatten(0, 1)[:, None]
